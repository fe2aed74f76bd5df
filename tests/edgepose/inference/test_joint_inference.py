"""The networks know the answers for the people of a frame before they are asked."""

import numpy as np
import pytest

import edgepose
from edgepose.inference.estimator import StageClock
from edgepose.inference.joint_inference import ComingView, JointInference, PreparedNetwork
from edgepose.inference.networks import BatchNetworks
from edgepose.methods.base import ForeseeingMethod
from edgepose.testing import FakeMethod, fake_model
from edgepose_runtime.geometry.roi import Roi


class Doubler:
    """A network that returns twice the image, and counts its runs by batch size."""

    device, precision = "cpu", "float32"

    def __init__(self):
        self.runs = []
        self.inputs = self.outputs = {}

    def infer(self, feeds):
        self.runs.append(len(feeds["image"]))
        return {"heatmaps": feeds["image"] * 2.0}


def crops(count):
    return [np.full((2, 2), index, np.uint8) for index in range(count)]


@pytest.fixture
def single():
    return Doubler()


@pytest.fixture
def batched():
    return Doubler()


@pytest.fixture
def network(single, batched):
    return PreparedNetwork(single, {4: batched, 2: batched})


def ask(network, crop):
    return network.infer({"image": crop[None]})["heatmaps"]


def test_what_was_prepared_is_known_and_the_rest_runs_alone(network, single, batched):
    network.prepare(crops(7))
    assert batched.runs == [4, 2]
    answers = [ask(network, crop)[0, 0, 0] for crop in crops(7)]
    assert answers == [0, 2, 4, 6, 8, 10, 12] and single.runs == [1]


def test_another_crop_is_never_given_an_answer_of_before(network, single):
    network.prepare(crops(2))
    network.prepare([])
    assert ask(network, crops(2)[1])[0, 0, 0] == 2 and single.runs == [1]
    network.prepare(crops(2))
    assert ask(network, np.full((2, 2), 9, np.uint8))[0, 0, 0] == 18 and single.runs == [1, 1]


def test_a_batch_is_tried_once_and_networks_are_loaded_once(monkeypatch, single):
    gains, loaded = [1.5, 1.1], []

    def load(name, size):
        loaded.append((name, size))
        return Doubler()

    monkeypatch.setattr(
        "edgepose.inference.networks.gain_of_batches", lambda *_, **__: gains.pop(0)
    )
    networks = BatchNetworks({"body": single, "head": single}, load)
    assert networks.run_faster("body", 4) and networks.run_faster("body", 4)
    assert not networks.run_faster("head", 4)
    assert networks.get("body", 4) is networks.get("body", 4)
    assert loaded == [("body", 4), ("head", 4)]


@pytest.mark.parametrize("most", [1, 2])
def test_a_model_without_batches_is_used_as_it_is(most):
    model = fake_model(FakeMethod())
    joint = JointInference(model, most)
    assert joint.model is model and not joint.is_used
    joint.prepare(
        np.zeros((9, 9, 3), np.uint8), [ComingView(Roi(0, 0, 9, 9), None, True)], StageClock()
    )


@pytest.fixture(scope="module")
def model():
    with edgepose.load(num_threads=1) as model:
        yield model


def people(model, clip, **options):
    """Everybody's joints in frames of a clip beside itself."""
    with edgepose.PoseTracker(model, max_people=2, **options) as tracker:
        results = [
            tracker.track(np.hstack([image, image]), timestamp_ms=33.0 * i)
            for i, image in enumerate(clip)
        ]
    assert all(len(result.people) == 2 for result in results)
    return np.array([[person.keypoints for person in result.people] for result in results])


@pytest.mark.parametrize("options", [{}, {"key_frames": "auto"}])
def test_people_have_the_same_poses_as_one_after_the_other(
    model, sample_clip, monkeypatch, options
):
    assert isinstance(model.method, ForeseeingMethod)
    clip = [frame.image for frame in edgepose.open_source(sample_clip)][:7]
    monkeypatch.setattr(BatchNetworks, "run_faster", lambda *_: False)
    apart = people(model, clip, **options)
    monkeypatch.setattr(BatchNetworks, "run_faster", lambda *_: True)
    alone = []
    infer = type(model.batches.single["body"]).infer

    def counted(self, feeds):
        alone.extend(name for name, each in model.batches.single.items() if each is self)
        return infer(self, feeds)

    monkeypatch.setattr(type(model.batches.single["body"]), "infer", counted)
    together = people(model, clip, **options)
    assert not alone, "all was computed in batches"
    width = np.ptp(apart[..., 1])
    assert np.abs(together - apart)[..., :2].max() < 0.02 * width
