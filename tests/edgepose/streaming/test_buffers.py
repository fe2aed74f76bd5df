"""Buffers are used again, but what a tracker handed out never changes."""

import threading

import numpy as np
import pytest

from edgepose.inference.estimator import PoseEstimator, StageClock
from edgepose.inference.model import load
from edgepose.testing import standing_person
from edgepose.tracker import PoseTracker
from edgepose.tracking.motion_prediction import MotionPredictor
from edgepose_runtime.geometry.roi import Roi

FRAMES = 12


@pytest.fixture
def model(puppet_bundle):
    with load(puppet_bundle.path) as loaded:
        yield loaded


def walk(puppet, start=120):
    return [puppet((start + 4 * step, 120)) for step in range(FRAMES)]


def test_earlier_results_stay_as_they_were(model, puppet):
    tracker = PoseTracker(model)
    results, copies = [], []
    for stamp, frame in enumerate(walk(puppet)):
        results.append(tracker.track(frame, timestamp_ms=40.0 * stamp).keypoints)
        copies.append(results[-1].copy())
    np.testing.assert_array_equal(results, copies)
    assert np.ptp([pose[0, 0] for pose in results]) > 30  # and they do differ


def test_earlier_heatmaps_stay_as_they_were(model, puppet):
    estimator, clock = PoseEstimator(model), StageClock()
    frames = walk(puppet)
    looks = [estimator.initialise(frames[0], Roi(40, 20, 200, 200), clock)]
    copies = [looks[0].estimate.heatmaps.copy()]
    for step, frame in enumerate(frames[1:]):
        looks.append(estimator.advance(frame, Roi(41 + step, 20, 200, 200), looks[-1], clock))
        copies.append(looks[-1].estimate.heatmaps.copy())
    for look, copy in zip(looks, copies, strict=True):
        np.testing.assert_array_equal(look.estimate.heatmaps, copy)
        np.testing.assert_array_equal(look.estimate.state.heatmaps, copy)


def test_streams_on_threads_do_not_see_each_others_crops(model, puppet):
    alone = {start: track_all(PoseTracker(model), walk(puppet, start)) for start in (90, 180)}
    together = {}

    def work(start):
        together[start] = track_all(PoseTracker(model), walk(puppet, start))

    threads = [threading.Thread(target=work, args=(start,)) for start in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for start, poses in alone.items():
        np.testing.assert_array_equal(together[start], poses)


def track_all(tracker, frames):
    return [
        tracker.track(frame, timestamp_ms=40.0 * stamp).keypoints
        for stamp, frame in enumerate(frames)
    ]


def test_predictions_do_not_follow_what_a_user_does_to_a_result():
    predictor, pose = MotionPredictor(), standing_person((100, 100), height=80)
    predictor.update(pose, 0.0)
    expected = pose.copy()
    pose += 1000
    np.testing.assert_array_equal(predictor.predict(33.0), expected)
