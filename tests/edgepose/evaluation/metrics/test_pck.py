import numpy as np
import pytest

from edgepose.evaluation.metrics.pck import (
    PckCounts,
    average,
    body_lengths,
    jitter_terms,
    pck_counts,
    torso_lengths,
)
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13

# Per-joint PCK that LSTM Pose Machines' authors publish, and what their readme makes of it.
LPM_SUB_JHMDB = {
    "neck": 99.20, "belly": 98.97, "face": 98.27,
    "right_shoulder": 96.67, "left_shoulder": 96.13, "right_hip": 98.83, "left_hip": 98.63,
    "right_elbow": 90.17, "left_elbow": 89.10, "right_knee": 96.40, "left_knee": 94.80,
    "right_wrist": 85.93, "left_wrist": 86.17, "right_ankle": 91.90, "left_ankle": 89.90,
}  # fmt: skip
LPM_PENN = {
    "head": 98.90, "right_shoulder": 98.50, "left_shoulder": 98.60, "right_elbow": 96.60,
    "left_elbow": 96.60, "right_wrist": 96.60, "left_wrist": 96.50, "right_hip": 98.20,
    "left_hip": 98.20, "right_knee": 97.90, "left_knee": 98.50, "right_ankle": 97.30,
    "left_ankle": 97.70,
}  # fmt: skip


def counts_of(percentages, skeleton):
    hits = np.array([round(100 * percentages[name]) for name in skeleton.joints])
    return PckCounts(hits, np.full(skeleton.num_joints, 10_000))


def one_joint_off_by(errors):
    """T frames of one joint whose error grows along x."""
    truth = np.zeros((len(errors), 1, 2))
    predicted = truth + np.array(errors)[:, None, None] * [1.0, 0.0]
    return predicted, truth, np.ones((len(errors), 1), bool)


def test_the_published_sub_jhmdb_joints_give_the_published_means():
    summary = counts_of(LPM_SUB_JHMDB, JHMDB15).summary(JHMDB15)
    assert summary.mean7 == pytest.approx(93.65, abs=0.01)
    assert summary.mean_joints == pytest.approx(94.07, abs=0.03)
    assert summary.micro == pytest.approx(94.07, abs=0.03)
    listed = [value for name, value in summary.joints.items() if name not in ("neck", "belly")]
    assert np.mean(listed) == pytest.approx(93.30, abs=0.01)


def test_the_published_penn_joints_give_the_published_overall():
    summary = counts_of(LPM_PENN, PENN13).summary(PENN13)
    assert summary.mean_joints == pytest.approx(97.7, abs=0.05)
    assert summary.columns["Ank"] == pytest.approx(97.5)
    assert list(summary.columns) == ["Head", "Sho", "Elb", "Wri", "Hip", "Knee", "Ank"]


def test_splits_are_averaged_joint_by_joint():
    """The published joints are means of three splits."""
    changed = [{name: value + by for name, value in LPM_SUB_JHMDB.items()} for by in (-2, 0, 2)]
    for split, joint in zip(changed, ("belly", "face", "neck"), strict=True):
        split[joint] = 50.0
    splits = [counts_of(each, JHMDB15).summary(JHMDB15) for each in changed]
    summary = average(splits)
    assert summary.joints["face"] == pytest.approx((2 * 98.27 + 50) / 3)
    assert summary.columns["Ank"] == pytest.approx(90.9)
    assert summary.mean7 == pytest.approx(np.mean([split.mean7 for split in splits]))
    assert summary.micro == pytest.approx(np.mean([split.micro for split in splits]))
    assert summary.scored == 3 * 15 * 10_000


def test_columns_average_joints_but_micro_pools_counts():
    hits, scored = np.zeros(13, int), np.zeros(13, int)
    hits[1:3], scored[1:3] = [10, 0], [10, 90]
    summary = PckCounts(hits, scored).summary(PENN13)
    assert summary.columns["Sho"] == pytest.approx(50)
    assert summary.micro == pytest.approx(10)
    assert summary.limbs12 == pytest.approx(10)


def test_the_limb_figure_leaves_out_head_neck_and_belly():
    hits = np.array([0 if name in ("neck", "belly", "face") else 10 for name in JHMDB15.joints])
    summary = PckCounts(hits, np.full(15, 10)).summary(JHMDB15)
    assert summary.limbs12 == 100
    assert summary.micro == pytest.approx(80)


def test_nothing_scored_gives_nan_and_no_warning(recwarn):
    summary = PckCounts(np.zeros(13, int), np.zeros(13, int)).summary(PENN13)
    assert np.isnan([summary.micro, summary.mean7, summary.limbs12]).all()
    assert not recwarn


def test_a_joint_exactly_at_the_tolerance_is_a_hit():
    predicted, truth, valid = one_joint_off_by([2.0, np.nextafter(2.0, 3.0)])
    counts = pck_counts(predicted, truth, valid, np.array([10.0, 10.0]), alpha=0.2)
    assert counts.hits.tolist() == [1]
    assert counts.scored.tolist() == [2]


def test_a_missing_joint_is_a_miss_and_an_unscored_joint_nothing():
    predicted, truth, valid = one_joint_off_by([np.nan, 0.0, 0.0])
    valid[2] = False
    counts = pck_counts(predicted, truth, valid, np.full(3, 10.0), alpha=0.2)
    assert (counts.hits.tolist(), counts.scored.tolist()) == ([1], [2])


def test_counts_of_clips_are_pooled():
    pooled = PckCounts(np.array([1]), np.array([2])) + PckCounts(np.array([8]), np.array([8]))
    assert (pooled.hits.tolist(), pooled.scored.tolist()) == ([9], [10])


@pytest.mark.parametrize("skeleton", [PENN13, JHMDB15])
def test_the_torso_runs_from_the_left_shoulder_to_the_right_hip(skeleton):
    shoulder, hip = {"penn13": (2, 7), "jhmdb15": (4, 5)}[skeleton.name]
    truth = np.zeros((1, skeleton.num_joints, 3))
    truth[0, shoulder, :2], truth[0, hip, :2] = (3, 0), (0, 4)
    assert torso_lengths(truth, truth, skeleton).tolist() == [5]


def test_a_torso_under_one_pixel_is_replaced_by_the_predicted_one():
    truth, predicted = np.zeros((2, 13, 2)), np.zeros((2, 13, 2))
    truth[:, 2, 0] = [0.99, 1.0]
    predicted[:, 2, 0] = 7
    assert torso_lengths(truth, predicted, PENN13).tolist() == [7, 1]


def test_the_body_length_is_the_longer_side_of_the_box():
    assert body_lengths(np.array([[10, 20, 40, 30], [0, 0, 5, 50]])).tolist() == [30, 50]


def test_a_constant_offset_is_no_jitter_but_shaking_is():
    predicted, truth, valid = one_joint_off_by([3.0, 3.0, 3.0, 3.0])
    assert jitter_terms(predicted, truth, valid, np.full(4, 10.0)).tolist() == [0, 0]
    predicted[1, :, 0] += 1
    assert jitter_terms(predicted, truth, valid, np.full(4, 10.0)).tolist() == [0.2, 0.1]


def test_jitter_needs_three_scored_and_predicted_frames_in_a_row():
    predicted, truth, valid = one_joint_off_by([0.0, np.nan, 0.0, 0.0, 0.0, 0.0])
    valid[3] = False
    assert jitter_terms(predicted, truth, valid, np.full(6, 10.0)).size == 0
