from itertools import islice

import numpy as np
import pytest

from edgepose import open_source
from edgepose.inference import networks
from edgepose.inference.estimator import PoseEstimator, StageClock
from edgepose.inference.looks import JointLooks, Look
from edgepose.inference.model import load
from edgepose.inference.networks import LARGEST_FRAME_BATCH
from edgepose_runtime.errors import BackendError, ClosedError
from edgepose_runtime.geometry.roi import Roi

ROI = Roi(70, 300, 400, 400)


@pytest.fixture(scope="module")
def model():
    with load("ppn-swift", num_threads=1) as loaded:
        yield loaded


@pytest.fixture
def looks(model, clip_frames):
    """People who go on from the first frame; each has a region of their own."""
    regions = [Roi(ROI.x + 9 * index, ROI.y, ROI.width, ROI.height) for index in range(5)]
    estimators = [PoseEstimator(model) for _ in regions]
    clock = StageClock()
    return [
        Look(each, roi, each.initialise(clip_frames[0], roi, clock))
        for each, roi in zip(estimators, regions, strict=True)
    ]


@pytest.fixture(scope="module")
def clip_frames(sample_clip):
    with open_source(sample_clip) as frames:
        return [frame.image for frame in islice(frames, 2)]


def test_what_is_seen_together_is_what_each_look_would_show_alone(model, looks, clip_frames):
    clock = StageClock()
    alone = [look.observe(clip_frames[1], clock, score_factor=1.0) for look in looks]
    JointLooks(model).observe(clip_frames[1], looks, clock)
    for look, before in zip(looks, alone, strict=True):
        assert look.seen is not None and look.seen.key_frame_age == 1
        assert look.observe(clip_frames[1], clock, score_factor=1.0) is look.seen
        np.testing.assert_allclose(look.seen.keypoints, before.keypoints, atol=0.5)


def test_the_head_and_a_look_of_its_own_are_left_to_each_person(model, looks, clip_frames):
    together = [looks[0], looks[1].with_head(), looks[2].with_head()]
    JointLooks(model).observe(clip_frames[1], together, StageClock())
    assert [look.seen for look in together] == [None] * 3


def test_a_network_that_computes_something_else_for_several_is_not_used(
    monkeypatch, caplog, looks, clip_frames
):
    monkeypatch.setattr(networks, "TOLERANCE", -1.0)
    with load("ppn-swift", num_threads=1) as model:
        assert model.batch_method() is None and "one after the other" in caplog.text
        JointLooks(model).observe(clip_frames[1], looks, StageClock())
    assert all(look.seen is None for look in looks)


def test_networks_that_do_not_run_for_several_are_closed_and_not_used(monkeypatch, caplog):
    engine = networks.get_backend("openvino")
    loads, loaded = engine.load, []

    def two_at_most(path, *, settings):
        if settings.batch > 2:
            raise BackendError("This graph takes two samples at most.")
        loaded.append(loads(path, settings=settings))
        return loaded[-1]

    with load("ppn-swift", num_threads=1) as model:
        monkeypatch.setattr(networks, "get_backend", lambda _: engine)
        monkeypatch.setattr(engine, "load", two_at_most)
        assert model.batch_method() is None
        assert "two samples at most" in caplog.text and "one after the other" in caplog.text
        crops = np.zeros((2, *model.method.spec.view.shape), np.uint8)
        with pytest.raises(ClosedError):
            loaded[0].infer({"image": crops})


def test_networks_for_several_are_loaded_once_and_closed_with_the_model(monkeypatch):
    sizes = []
    with load("ppn-swift", num_threads=1) as model:
        engine = networks.get_backend("openvino")
        loads = engine.load

        def counted(path, *, settings):
            sizes.append(settings.batch)
            return loads(path, settings=settings)

        monkeypatch.setattr(networks, "get_backend", lambda _: engine)
        monkeypatch.setattr(engine, "load", counted)
        method = model.batch_method()
        assert method is model.batch_method()
        assert sorted(sizes) == list(range(2, LARGEST_FRAME_BATCH + 1))
    crop = np.zeros((2, *method.spec.view.shape), np.uint8)
    with pytest.raises(ClosedError):
        method._body.infer({"image": crop})
    with pytest.raises(ClosedError):
        model.batch_method()


def test_a_method_whose_step_is_not_known_in_batches_has_none(puppet_bundle):
    with load(puppet_bundle.path) as model:
        assert model.batch_method() is None
