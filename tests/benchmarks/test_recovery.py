import numpy as np
import pytest

from benchmarks.recovery import WIDE, RecoveryResult, cut, interrupted, main, score, table, widened
from edgepose import PoseTracker
from edgepose.datasets.clips import Clip
from edgepose.evaluation.protocols.tracker import TrackerPredictor
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13


def make_clip(middle=(120, 120), frames=6, name="a", shade=0):
    poses = np.stack([standing_person(middle, 120)] * frames)
    pictures = np.full((frames, 240, 320, 3), shade, np.uint8)
    return Clip(name, "film", lambda: iter(pictures), poses, None, PENN13, 25.0, "val")


def test_blank_frames_come_in_the_middle_and_show_nobody():
    case = interrupted(make_clip(), 3)
    pictures = list(case.clip.frames())
    assert (len(pictures), len(case.clip), case.back) == (9, 9, 6)
    assert [picture.any() for picture in pictures] == [False] * 3 + [True] * 3 + [False] * 3
    assert (case.clip.keypoints[3:6, :, 2] == 0).all()


def test_a_cut_goes_on_with_the_other_clip_at_the_size_of_the_first():
    case = cut(make_clip(), make_clip((200, 100), name="b", shade=9))
    assert [int(picture.max()) for picture in case.clip.frames()] == [0] * 3 + [9] * 6
    assert (case.back, case.clip.keypoints[3, 0, 0]) == (
        3,
        make_clip((200, 100)).keypoints[0, 0, 0],
    )


def test_in_a_wide_picture_the_person_comes_back_in_the_other_corner():
    case = widened(interrupted(make_clip(shade=9), 2))
    pictures = list(case.clip.frames())
    assert pictures[0].shape == (WIDE[1], WIDE[0], 3)
    assert (pictures[0][0, 0, 0], pictures[0][-1, -1, 0]) == (9, 128)
    assert (pictures[-1][0, 0, 0], pictures[-1][-1, -1, 0]) == (128, 9)
    moved = case.clip.keypoints[-1, 0, :2] - case.clip.keypoints[0, 0, :2]
    assert moved.tolist() == [WIDE[0] - 320, WIDE[1] - 240]


def test_frames_are_counted_from_the_return_of_the_person():
    case = interrupted(make_clip(), 2)
    poses = case.clip.keypoints.copy()
    poses[3:7, :, :2] = np.nan
    assert score(case, poses) == RecoveryResult("a", 3, 2, 0, 0)


def test_a_pose_elsewhere_finds_nobody_and_one_in_blank_frames_is_invented():
    case = interrupted(make_clip(), 2)
    poses = np.stack([make_clip().keypoints[0]] * 8)
    poses[5:, :, 0] += 200
    assert score(case, poses) == RecoveryResult("a", None, 0, 3, 2)


@pytest.mark.parametrize(("blank", "to"), [(1, (120, 120)), (45, (120, 120)), (2, (240, 120))])
def test_the_tracker_finds_a_person_again_within_five_frames(blank, to):
    clip = make_clip(frames=20)
    case = interrupted(clip, blank)
    method = FakeMethod()
    truth = [standing_person(to if n >= case.back else (120, 120), 120) for n in range(20 + blank)]

    class Told(PoseTracker):
        """Sees what the frame shows, by its number."""

        count = 0

        def track(self, frame, **options):
            gone = not case.clip.keypoints[self.count, :, 2].any()
            method.person = None if gone else truth[self.count]
            self.count += 1
            return super().track(frame, **options)

    poses = TrackerPredictor(PENN13, lambda: Told(fake_model(method))).predict(case.clip)
    seen = np.isfinite(poses[case.back :, 0, 0])
    assert seen.argmax() < 5
    assert seen[5:].all()
    assert not np.isfinite(poses[10 : case.back]).any()


def test_the_table_counts_what_was_found_in_time():
    rows = [
        RecoveryResult("a", 1, 0, 0, 0),
        RecoveryResult("b", 7, 6, 1, 2),
        RecoveryResult("c", None, 9, 0, 0),
    ]
    (row,) = table({"cut": rows}).rows
    assert row == ("cut", "3", "1", "1", "7", "1", "15", "1", "2")


def test_a_part_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="got 'ghost'"):
        main(["--parts", "cut,ghost", "--out", str(tmp_path)])
