import numpy as np

from benchmarks.smoothing.recordings import record, smoothed
from edgepose import PoseTracker
from edgepose.evaluation.protocols.tracker import TrackerPredictor
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.poses.smoothing import OneEuroSettings


class Shaking(PoseTracker):
    """A tracker of a person who shakes, is gone for a while, and comes back elsewhere."""

    def __init__(self, **options):
        self._method = FakeMethod()
        self._random = np.random.default_rng(0)
        self._count = 0
        super().__init__(fake_model(self._method), **options)

    def track(self, frame, **options):
        self._count += 1
        middle = (100, 120) if self._count < 20 else (240, 120)
        person = standing_person(middle, 120)
        person[:, :2] += self._random.normal(0, 2, (13, 2))
        self._method.person = None if 10 <= self._count < 14 else person
        return super().track(frame, **options)


def test_a_recorded_track_smooths_as_the_tracker_itself_does(make_clip):
    clip = make_clip(30)
    for settings in (OneEuroSettings(), OneEuroSettings(min_cutoff_hz=0.3, beta=2.0)):
        direct = TrackerPredictor(PENN13, lambda: Shaking(smoothing=settings)).predict(clip)  # noqa: B023
        again = smoothed(record(Shaking(smoothing=False), clip), settings)
        np.testing.assert_array_equal(again, direct)


def test_without_settings_the_track_stays_as_it_is(make_clip):
    track = record(Shaking(smoothing=False), make_clip(16))
    np.testing.assert_array_equal(smoothed(track, None), track.keypoints)
    assert track.regions[11] is None
    assert np.isnan(track.keypoints[11, :, 0]).all()


def test_the_tracker_is_closed(make_clip):
    tracker = Shaking(smoothing=False)
    record(tracker, make_clip(2))
    assert "closed" in repr(tracker)
