import numpy as np
import pytest

from edgepose.benchmarking.peers import PEERS, choose_peers
from edgepose.benchmarking.peers.blazepose import (
    START_ITERATIONS,
    BlazePose,
    BlazePoseTracker,
    own_region,
    refine,
)
from edgepose.benchmarking.peers.movenet import MoveNet
from edgepose.benchmarking.peers.rtmpose import RtmPose
from edgepose.datasets.clips import Clip
from edgepose.testing import standing_person
from edgepose_runtime.backends.base import BackendSettings
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13
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

    spec = TensorSpec("input", "float32", ("N", 3, 256, 192))
    for mirrored in (False, True):
        pose = RtmPose(network(find, spec), mirrored=mirrored)(frame, BOX)
        assert pose.shape == (26, 3)
        assert pose[0] == pytest.approx((*SPOT, 0.7), abs=0.3)


def test_rtmpose_on_the_mirror_image_sees_the_other_side_of_the_body(frame):
    def find(feeds):
        bright = feeds["input"][0, 0]
        answer = {"simcc_x": np.zeros((1, 26, 384)), "simcc_y": np.zeros((1, 26, 512))}
        x, y = (round(2 * place) for place in brightest(bright))
        answer["simcc_x"][0, 6 if x < 192 else 5, x] = 1  # a shoulder, by the half of the picture
        answer["simcc_y"][0, 6 if x < 192 else 5, y] = 1
        return answer

    spec = TensorSpec("input", "float32", ("N", 3, 256, 192))
    pose = RtmPose(network(find, spec), mirrored=True)(frame, BOX)
    left = SPOT[0] > 120
    assert pose[5 if left else 6, 2] == pytest.approx(1)
    assert pose[6 if left else 5, 2] == 0


def test_movenet_answers_in_parts_of_the_square_around_the_box(frame):
    def find(feeds):
        x, y = brightest(feeds["input:0"][0, ..., 0])
        answer = [(y + 0.5) / 192, (x + 0.5) / 192, 0.6]
        return {"output": np.full((1, 1, 17, 3), answer, np.float32)}

    pose = MoveNet(network(find, TensorSpec("input:0", "int32", (1, 192, 192, 3))))(frame, BOX)
    assert pose.shape == (17, 3)
    assert pose[0] == pytest.approx((*SPOT, 0.6), abs=0.3)


@pytest.fixture
def blazepose():
    """A network whose landmarks are all at the brightest spot, but for the two of the region."""

    def find(feeds):
        x, y = brightest(feeds["input_1"][0, ..., 0])
        landmarks = np.tile(np.float32([x + 0.5, y + 0.5, 0, 2, 9]), (39, 1))
        landmarks[33, :2], landmarks[34, :2] = (128, 128), (128, 128 - 128 / 1.25)
        return {
            "points": landmarks.reshape(1, 195),
            "presence": np.float32([[0.9]]),
            "maps": np.full((1, 64, 64, 39), -9, np.float32),
        }

    spec = TensorSpec("input_1", "float32", (1, 256, 256, 3))
    shapes = {"points": (1, 195), "presence": (1, 1), "maps": (1, 64, 64, 39)}
    outputs = [TensorSpec(name, "float32", shape) for name, shape in shapes.items()]
    return FakeBackend(find, [spec], outputs).load(b"", settings=BackendSettings())


def test_blazepose_counts_from_the_corner_of_the_square_around_the_box(frame, blazepose):
    pose = BlazePose(blazepose)(frame, BOX)
    assert pose.shape == (17, 3)
    assert pose[0] == pytest.approx((*SPOT, 1 / (1 + np.exp(-2))), abs=0.3)


def test_blazepose_is_cropped_as_it_asked_for_in_the_frame_before(frame, blazepose):
    clip = Clip(
        name="spot",
        film="film",
        frames=lambda: iter([frame] * 3),
        keypoints=np.stack([standing_person((120, 80), 90)] * 3),
        boxes=None,
        skeleton=PENN13,
        fps=25.0,
        split="val",
    )
    poses = BlazePoseTracker(blazepose).predict(clip)
    assert poses.shape == (3, 17, 3)
    assert np.abs(poses[:, :, :2] - SPOT).max() < 0.5
    assert len(blazepose.calls) == START_ITERATIONS + 2


def test_the_region_blazepose_asks_for_is_turned_upright_around_the_hips():
    hips, circle = np.array([50.0, 40.0]), np.array([70.0, 40.0])  # the head lies to the right
    affine = own_region(np.stack([hips, circle]), np.eye(2, 3))
    middle, top = (affine[:, :2] @ point + affine[:, 2] for point in (hips, circle))
    assert middle == pytest.approx([127.5, 127.5])
    assert top == pytest.approx([127.5, 127.5 - 128 / 1.25])
    assert np.linalg.det(affine[:, :2]) > 0  # not mirrored


def test_a_region_without_extent_leaves_the_crop_as_it_was():
    before = np.arange(6.0).reshape(2, 3)
    assert own_region(np.ones((2, 2)), before) is before


def test_a_landmark_moves_to_the_mass_around_it_if_its_heat_map_is_sure():
    maps = np.full((64, 64, 3), -20.0)
    maps[10, 21, 0] = 20.0
    maps[10, 21, 1] = -0.1
    points = np.array([[80.0, 44.0], [80.0, 44.0], [300.0, -9.0]])
    refined = refine(points, maps)
    assert refined[0] == pytest.approx([84, 40], abs=0.01)
    assert refined[1:].tolist() == points[1:].tolist()


def test_weights_are_looked_for_in_the_folder_given_then_in_the_environments(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPOSE_DATA", str(tmp_path / "nowhere"))
    given, named = tmp_path / "given", tmp_path / "named"
    monkeypatch.setenv("EDGEPOSE_WEIGHTS", str(named))
    movenet = choose_peers(["movenet"])[0]
    assert movenet.weights(given) is None
    for folder in (named, given):
        folder.mkdir()
        (folder / movenet.file).write_bytes(b"net")
        assert movenet.weights(given) == folder / movenet.file


def test_weights_may_lie_beside_the_data(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEPOSE_WEIGHTS", raising=False)
    for folder in ("data", "weights"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("EDGEPOSE_DATA", str(tmp_path / "data"))
    (tmp_path / "weights" / PEERS[0].file).write_bytes(b"net")
    assert PEERS[0].weights() == tmp_path / "weights" / PEERS[0].file


def test_missing_weights_are_named_with_where_to_get_them():
    for peer in PEERS:
        assert peer.file in peer.how_to_get()
        assert "--weights DIR" in peer.how_to_get()
        assert "{" not in peer.how_to_get()


def test_an_unknown_peer_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no peer 'openpose'; there are movenet, rtmpose, blaz"):
        choose_peers(["movenet", "openpose"])
