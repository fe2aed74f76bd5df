import numpy as np
import pytest

from edgepose.evaluation.metrics.scoring import Measure, Score, measures_for, score_clip
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import JHMDB15, MPII16, PENN13

TORSO = Measure("torso", 0.2)
MEASURES = measures_for([0.2])


def torso_of(clip):
    return np.linalg.norm(clip.keypoints[0, 2, :2] - clip.keypoints[0, 7, :2])


def test_the_annotation_itself_scores_100_and_does_not_shake(make_clip):
    clip = make_clip()
    score = Score(PENN13, (score_clip(clip.keypoints, PENN13, clip, MEASURES),))
    assert [score.pck(measure).micro for measure in score.measures] == [100, 100]
    assert score.jitter == 0
    assert (score.frames, score.without_pose, score.lost_clips) == (6, 0, [])


def test_joints_off_by_more_than_the_tolerance_are_missed(make_clip):
    clip = make_clip()
    predicted = clip.keypoints.copy()
    predicted[:, 5, 0] += 0.21 * torso_of(clip)
    predicted[:, 6, 0] += 0.19 * torso_of(clip)
    counts = score_clip(predicted, PENN13, clip, [TORSO]).pck[TORSO]
    assert (counts.hits[5], counts.hits[6]) == (0, 6)


def test_frames_without_a_pose_are_misses_of_all_joints(make_clip):
    clip = make_clip()
    predicted = clip.keypoints.copy()
    predicted[:3] = np.nan
    score = score_clip(predicted, PENN13, clip, [TORSO])
    assert score.pck[TORSO].hits.tolist() == [3] * 13
    assert score.pck[TORSO].scored.tolist() == [6] * 13
    assert (score.without_pose, score.lost) == (3, False)


def test_a_clip_is_lost_if_most_poses_are_missing_or_beside_the_person(make_clip):
    clip = make_clip()
    predicted = clip.keypoints.copy()
    predicted[0] = np.nan
    predicted[1:4, :, 0] += 150
    score = score_clip(predicted, PENN13, clip, [TORSO])
    assert (score.followed, score.lost) == (2, True)
    assert Score(PENN13, (score,)).lost_clips == ["walk"]


def test_frames_without_annotation_do_not_count(make_clip):
    clip = make_clip()
    clip.keypoints[4:, :, 2] = 0
    clip.keypoints[4:, :, :2] = np.nan
    predicted = np.full((6, 13, 3), np.nan)
    score = score_clip(predicted, PENN13, clip, [TORSO])
    assert (score.frames, score.without_pose) == (4, 4)
    assert score.pck[TORSO].scored.tolist() == [4] * 13


def test_skeletons_that_differ_are_scored_over_the_joints_of_both(make_clip):
    truth = convert_keypoints(make_clip().keypoints, PENN13, JHMDB15)
    clip = make_clip(keypoints=truth, skeleton=JHMDB15)
    score = score_clip(make_clip().keypoints, PENN13, clip, [TORSO])
    assert score.pck[TORSO].hits.tolist() == [6] * 13


def test_all_fifteen_joints_count_where_both_have_them(make_clip):
    truth = convert_keypoints(make_clip().keypoints, PENN13, JHMDB15)
    truth[..., 2] = 1
    truth[..., :2] = np.nan_to_num(truth[..., :2], nan=100)
    clip = make_clip(keypoints=truth, skeleton=JHMDB15)
    assert score_clip(truth, JHMDB15, clip, [TORSO]).pck[TORSO].hits.tolist() == [6] * 15


def test_a_prediction_in_a_third_skeleton_is_converted(make_clip):
    clip = make_clip()
    predicted = convert_keypoints(clip.keypoints, PENN13, MPII16)
    hits = score_clip(predicted, MPII16, clip, [TORSO]).pck[TORSO].hits
    assert hits[0] == 0, "penn13 has no head top to make a head of"
    assert hits[1:].tolist() == [6] * 12


def test_measures_name_themselves():
    assert [measure.label for measure in measures_for([0.2, 0.1])] == [
        "PCK-torso@0.2",
        "PCK-torso@0.1",
        "PCK-body@0.2",
        "PCK-body@0.1",
    ]


def test_a_score_pools_its_clips(make_clip):
    clip, missed = make_clip(num_frames=6), make_clip(num_frames=2, name="run")
    scores = (
        score_clip(clip.keypoints, PENN13, clip, [TORSO]),
        score_clip(np.full((2, 13, 3), np.nan), PENN13, missed, [TORSO]),
    )
    score = Score(PENN13, scores)
    assert score.pck(TORSO).micro == pytest.approx(75)
    assert score.lost_clips == ["run"]
