import itertools

import numpy as np

from benchmarks.search import EMPTY, cost_of_scene, delay_after_cut, delays_in_video, scenes
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker

PERSON = standing_person((160, 120), 150)


def tracker(method):
    return PoseTracker(fake_model(method))


def test_scenes_show_frames_of_the_size():
    for images in scenes((24, 32)).values():
        assert all(image.shape == (24, 32, 3) and image.flags.c_contiguous for image in images)


def test_the_cost_is_a_ratio_of_both_times(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("benchmarks.search.time.process_time", lambda: float(next(clock)))
    images = [np.zeros((240, 320, 3), np.uint8)]
    empty, busy = tracker(FakeMethod()), tracker(FakeMethod(PERSON))
    assert cost_of_scene(empty, busy, images, images, 5) == 1


def test_the_delay_counts_from_the_first_frame_of_the_clip():
    method = FakeMethod()

    def frames():
        for number in range(10):
            if number == 3:
                method.person = PERSON
            yield np.full((240, 320, 3), 30, np.uint8)

    assert 3 <= delay_after_cut(tracker(method), frames()) <= 5
    method.person = None
    assert delay_after_cut(tracker(method), iter([np.zeros((240, 320, 3), np.uint8)])) is None
    assert EMPTY > 30


def test_each_entry_of_a_video_has_a_delay(tmp_path):
    import cv2

    for number in range(8):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((120, 160, 3), 10 * number, np.uint8))
    methods = []

    class EverySecond(FakeMethod):
        """Sees a person in bright frames."""

        def _look(self, kind, crop, roi):
            self.person = standing_person((80, 60), 90) if crop[128, 128, 0] >= 40 else None
            return super()._look(kind, crop, roi)

    def make(budget=1.5):
        methods.append(EverySecond())
        return tracker(methods[-1])

    assert delays_in_video(make, tmp_path) == [0]
    assert len(methods) == 2
