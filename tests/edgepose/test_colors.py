"""Trackers see the same colours in whatever a program hands over."""

import asyncio

import numpy as np
import pytest

import edgepose


@pytest.fixture
def bgr(puppet):
    return puppet()


@pytest.fixture
def rgb(bgr):
    return np.ascontiguousarray(bgr[..., ::-1])


@pytest.fixture(scope="module")
def model(puppet_bundle):
    with edgepose.load(str(puppet_bundle.path), num_threads=1) as model:
        yield model


@pytest.fixture
def expected(model, bgr):
    with edgepose.PoseTracker(model) as tracker:
        return tracker.track(bgr, timestamp_ms=0.0).keypoints


def pillow(rgb):
    return pytest.importorskip("PIL.Image").fromarray(rgb)


def tensor(rgb):
    return pytest.importorskip("torch").from_numpy(rgb).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("make", "color"), [(np.copy, "rgb"), (pillow, "bgr"), (pillow, "rgb"), (tensor, "bgr")]
)
def test_track_submit_and_stream_see_the_same_person(model, expected, bgr, rgb, make, color):
    found = []
    with edgepose.PoseTracker(model, color=color) as tracker:
        found.append(tracker.track(make(rgb), timestamp_ms=0.0))
    with edgepose.PoseTracker(model, color=color) as tracker:
        frame, result = next(iter(tracker.stream([make(rgb)], with_frames=True)))
        found.append(result)
        np.testing.assert_array_equal(frame, bgr)
    with edgepose.PoseTracker(model, color=color, on_result=found.append) as tracker:
        tracker.submit(make(rgb), 0.0)
    for result in found:
        np.testing.assert_array_equal(result.keypoints, expected)
    assert len(found) == 3


def test_a_pool_and_an_awaited_tracker_take_the_order(model, expected, bgr, rgb):
    found = []

    def show(_name, frame, result):
        found.append((frame, result.keypoints))

    with edgepose.TrackerPool(model, on_frame=show, color="rgb") as pool:
        pool.add([rgb])
        assert pool.wait(60)

    async def track():
        async with edgepose.AsyncPoseTracker(model, color="rgb") as tracker:
            return [result.keypoints async for result in tracker.stream([rgb])]

    ((frame, joints),) = found
    np.testing.assert_array_equal(frame, bgr)
    np.testing.assert_array_equal(joints, expected)
    np.testing.assert_array_equal(asyncio.run(track())[0], expected)


def test_files_have_an_order_of_their_own(model, expected, bgr, tmp_path):
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), bgr)
    with edgepose.PoseTracker(model, color="rgb") as tracker:
        (result,) = tracker.stream(tmp_path / "a.png")
    np.testing.assert_array_equal(result.keypoints, expected)


def test_another_order_is_refused(model):
    with pytest.raises(edgepose.errors.ConfigError, match="color must be 'bgr' or 'rgb'"):
        edgepose.PoseTracker(model, color="RGB")
