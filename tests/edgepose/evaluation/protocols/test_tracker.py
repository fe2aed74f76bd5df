import numpy as np

from edgepose import PoseTracker
from edgepose.evaluation.protocols.tracker import TrackerPredictor
from edgepose.testing import FakeMethod, fake_model
from edgepose_runtime.poses.skeletons import PENN13


def test_the_tracker_is_given_frames_and_times_only_and_finds_the_person(make_clip):
    clip = make_clip(num_frames=3)
    method = FakeMethod(clip.keypoints[0])
    predictor = TrackerPredictor(PENN13, lambda: PoseTracker(fake_model(method)))
    predicted = predictor.predict(clip)
    assert predicted.shape == (3, 13, 3)
    assert np.abs(predicted[0] - clip.keypoints[0]).max() < 2


def test_frames_without_a_pose_are_nan(make_clip):
    predictor = TrackerPredictor(PENN13, lambda: PoseTracker(fake_model(FakeMethod())))
    assert np.isnan(predictor.predict(make_clip(num_frames=2))).all()


def test_every_clip_gets_a_tracker_of_its_own_that_is_closed(make_clip):
    trackers = []

    class Spy(PoseTracker):
        def __init__(self):
            super().__init__(fake_model(FakeMethod()))
            self.closed = 0
            trackers.append(self)

        def close(self):
            self.closed += 1
            super().close()

    predictor = TrackerPredictor(PENN13, Spy)
    predictor.predict(make_clip())
    predictor.predict(make_clip())
    assert [tracker.closed for tracker in trackers] == [1, 1]
