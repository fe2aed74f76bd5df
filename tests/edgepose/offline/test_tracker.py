import numpy as np
import pytest

from edgepose.offline.tracker import KeyFrameTracking
from edgepose.offline.windows import windows_of
from edgepose.results import Origin
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.capture import CapturedFrame
from edgepose_runtime.interpolation.kernels.hpim import interpolate_keys

IMAGE = np.zeros((240, 320, 3), np.uint8)


def captured(count):
    return [CapturedFrame(index, IMAGE, 33.0 * index) for index in range(count)]


def center(index):
    return (80 + 2.0 * index, 120 + 0.5 * index)


@pytest.fixture
def track():
    """Track so many frames in which somebody walks; return results and tracking."""

    def run(count, select, there=lambda _index: True):
        method = FakeMethod()

        def frames():
            yield from captured(count)

        tracking = KeyFrameTracking(fake_model(method), select=select)
        look = tracking._look

        def look_there(frame):
            number = frame.frame_id
            method.person = standing_person(center(number), 140) if there(number) else None
            return look(frame)

        tracking._look = look_there
        return [result for _, result in tracking.track(frames())], tracking

    return run


def every(step):
    return lambda features, _count: list(range(0, len(features), step))


def test_each_frame_has_one_result_in_order(track):
    results, tracking = track(100, every(8))
    assert [result.frame_id for result in results] == list(range(100))
    assert tracking.frames == 100
    assert tracking.processed == 13  # five in each whole window, three in the last


def test_frames_between_key_frames_are_where_the_person_went(track):
    results, _ = track(60, every(6))
    for result in results[:54]:
        expected = standing_person(center(result.frame_id), 140)
        assert np.abs(result.keypoints[:, :2] - expected[:, :2]).max() < 4


def test_origins_and_ages_say_how_poses_came_about(track):
    results, _ = track(50, every(10))
    assert [r.origin for r in results[:3]] == [Origin.KEY_FRAME] + [Origin.INTERPOLATED] * 2
    assert results[-1].origin is Origin.PREDICTED
    assert [r.key_frame_age for r in results[:11]] == [*range(10), 0]


def test_one_key_frame_gives_a_pose_to_all(track):
    results, tracking = track(20, lambda _features, _count: [0])
    assert tracking.processed == 1
    assert all(result.keypoints is not None for result in results)


def test_all_key_frames_are_what_the_network_says(track):
    results, _ = track(15, every(1))
    assert {result.origin for result in results} == {Origin.KEY_FRAME}


def test_between_key_frames_with_nobody_there_is_no_pose(track):
    results, _ = track(40, every(10), there=lambda index: not 10 <= index <= 20)
    without = [result.frame_id for result in results if result.keypoints is None]
    assert without == list(range(1, 30))
    assert all(results[index].reason for index in without)


def test_a_video_of_one_frame_is_fine(track):
    results, _ = track(1, every(5))
    assert results[0].origin is Origin.KEY_FRAME


def test_ten_thousand_frames_come_in_windows_without_seams():
    chosen, seen = [], 0
    describe = lambda _image: np.zeros(3)  # noqa: E731 - a stand-in
    for window in windows_of(captured(10_007), every(7), describe=describe):
        assert [frame.frame_id for frame in window.frames] == list(
            range(seen, seen + len(window.frames))
        )
        chosen += [window.frames[key].frame_id for key in window.keys]
        seen += len(window.frames)
    assert seen == 10_007
    assert max(np.diff(chosen)) <= 7


def test_a_rate_is_a_part_of_each_window():
    counts = []

    def select(_features, count):
        counts.append(count)
        return [0]

    list(windows_of(captured(90), select, rate=0.2))
    assert counts == [8, 8, 2]


def test_warming_up_compiles_what_interpolation_needs():
    tracking = KeyFrameTracking(fake_model(FakeMethod()), select=every(4))
    tracking.warmup()
    compiled = len(interpolate_keys.signatures)
    assert compiled
    list(tracking.track(captured(12)))
    assert len(interpolate_keys.signatures) == compiled
