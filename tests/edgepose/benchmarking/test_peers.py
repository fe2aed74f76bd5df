import numpy as np
import pytest

from benchmarks.peers import PEERS
from benchmarks.peers.movenet import MoveNet
from benchmarks.peers.rtmpose import RtmPose
from edgepose_runtime.backends.base import BackendSettings
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.errors import DataError
from edgepose_runtime.geometry import Roi
from edgepose_runtime.tensors import TensorSpec

SPOT = (130, 70)
BOX = Roi.around((120, 80), 50, 90)


@pytest.fixture
def frame():
    """Black but for one white spot of 5x5 pixels."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[SPOT[1] - 2 : SPOT[1] + 3, SPOT[0] - 2 : SPOT[0] + 3] = 255
    return image


def network(function, spec):
    return FakeBackend(function, [spec], []).load(b"", settings=BackendSettings())


def brightest(image):
    """Middle (x, y) of the brightest part of an image (H, W)."""
    y, x = np.nonzero(image > 0.9 * image.max())
    return x.mean(), y.mean()


def test_rtmpose_bins_are_half_pixels_of_the_window_around_the_box(frame):
    def find(feeds):
        x, y = brightest(feeds["input"][0, 0])
        along_x, along_y = np.zeros((1, 26, 384)), np.zeros((1, 26, 512))
        along_x[..., round(2 * x)], along_y[..., round(2 * y)] = 0.8, 0.7
        return {"simcc_x": along_x, "simcc_y": along_y}

    pose = RtmPose(network(find, TensorSpec("input", "float32", ("N", 3, 256, 192))))(frame, BOX)
    assert pose.shape == (26, 3)
    assert pose[0] == pytest.approx((*SPOT, 0.7), abs=0.3)


def test_movenet_answers_in_parts_of_the_square_around_the_box(frame):
    def find(feeds):
        x, y = brightest(feeds["input:0"][0, ..., 0])
        answer = [(y + 0.5) / 192, (x + 0.5) / 192, 0.6]
        return {"output": np.full((1, 1, 17, 3), answer, np.float32)}

    pose = MoveNet(network(find, TensorSpec("input:0", "int32", (1, 192, 192, 3))))(frame, BOX)
    assert pose.shape == (17, 3)
    assert pose[0] == pytest.approx((*SPOT, 0.6), abs=0.3)


def test_weights_that_were_named_must_be_there(tmp_path, monkeypatch):
    file = tmp_path / "net.onnx"
    with pytest.raises(DataError, match=r"net\.onnx"):
        PEERS[0].weights(file)
    file.write_bytes(b"net")
    assert PEERS[0].weights(file) == file
    monkeypatch.setenv("EDGEPOSE_MOVENET", str(file))
    assert PEERS[1].weights(None) == file


def test_a_peer_that_nobody_named_may_be_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPOSE_DATA", str(tmp_path))
    monkeypatch.delenv("EDGEPOSE_RTMPOSE", raising=False)
    assert PEERS[0].weights(None) is None
