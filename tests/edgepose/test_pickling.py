import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import pytest

import edgepose
from edgepose.testing import FakeMethod, fake_model, standing_person


def said(*_):
    """A callback that another process finds by its name."""


def joints_of_first_frame(tracker, path):
    _, frame = cv2.VideoCapture(path).read()
    with tracker:
        return tracker.track(frame, timestamp_ms=0.0).keypoints.tolist(), repr(tracker.model)


def test_a_tracker_is_made_anew_with_its_options_in_another_process(sample_clip):
    with edgepose.PoseTracker("ppn-swift", num_threads=1, smoothing=False) as tracker:
        tracker.track(cv2.VideoCapture(str(sample_clip)).read()[1])
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(joints_of_first_frame, tracker, str(sample_clip)).result(120)
        again = pickle.loads(pickle.dumps(tracker))
        assert again.stats.frames == 0
        assert joints_of_first_frame(again, str(sample_clip)) == found


def test_callbacks_travel_by_their_names():
    with edgepose.PoseTracker("ppn-swift", num_threads=1, on_result=said, max_people=3) as tracker:
        pickled = pickle.dumps(tracker)
    with pickle.loads(pickled) as again:
        assert again._options_given["on_result"] is said
        assert again._options_given["max_people"] == 3


def test_a_loaded_model_is_loaded_again():
    with edgepose.load("ppn-swift", num_threads=1, precision="float32") as model:
        pickled = pickle.dumps(model)
        expected = repr(model)
    with pickle.loads(pickled) as again:
        assert repr(again) == expected


def test_a_pool_is_made_anew_without_sources():
    with edgepose.TrackerPool("ppn-swift", num_threads=1, on_result=said) as pool:
        again = pickle.loads(pickle.dumps(pool))
    with again:
        assert not again.stats


def test_a_model_that_was_not_loaded_cannot_be_pickled():
    with pytest.raises(TypeError, match=r"edgepose\.load"):
        pickle.dumps(fake_model(FakeMethod(standing_person((160, 120), 160))))
