"""A puppet that real networks can find: every joint is a disc of its own colour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgepose.results import Origin, PoseResult
from edgepose.testing import standing_person
from edgepose_runtime.bundles.bundle import Bundle, write_bundle
from edgepose_runtime.bundles.manifest import (
    GraphSpec,
    HeatmapSpec,
    InputSpec,
    Manifest,
    Normalisation,
)
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.tensors import TensorSpec

Image = NDArray[np.uint8]

JOINTS = PENN13.num_joints
# BGR from 0 to 1, far from each other and from every grey.
COLORS = np.array(
    sorted(itertools.product((0.0, 0.5, 1.0), repeat=3), key=lambda c: min(c) - max(c))[:JOINTS]
)
IMAGE = TensorSpec("image", "uint8", ("N", 256, 256, 3))
PREVIOUS = TensorSpec("previous", "float32", ("N", JOINTS, 64, 64))
HEATMAPS = TensorSpec("heatmaps", "float32", ("N", JOINTS, 64, 64))
PRELIMINARY = TensorSpec("preliminary", "float32", ("N", JOINTS, 64, 64))


def draw_puppet(center=(160, 120), height=160, size=(320, 240)) -> Image:
    """Return a grey frame, (width, height) = ``size``, with a puppet standing around a point."""
    image = np.full((size[1], size[0], 3), 116, np.uint8)
    for (x, y, _), color in zip(standing_person(center, height), COLORS, strict=True):
        at = round(float(x) * 16), round(float(y) * 16)
        cv2.circle(image, at, round(height), color * 255, -1, cv2.LINE_AA, 4)
    return image


KERNELS = TensorSpec("kernels", "float32", ("N", JOINTS, 1, 1))
DISTILLED = TensorSpec("distilled", "float32", ("N", JOINTS, 1, 1))
START = TensorSpec("start", "float32", ("N", JOINTS, 64, 64))
FRESH = TensorSpec("fresh", "float32", ("N", 1, 1, 1))


def color_finder(found: str, carried: str | None = None, distilled: str | None = None) -> bytes:
    """Return an ONNX graph whose heat-maps show how much of each joint's colour is where.

    Args:
        found: name of the output with the frame's own heat-maps.
        carried: name of an output in which they are mixed with half of the ``previous`` ones.
        distilled: name of an output with the best of each joint's heat-map in this frame, which is
            what the next frame's heat-maps are multiplied with as ``kernels``.
    """
    constants = {
        "weights": (-2 * COLORS)[:, :, None, None],
        "bias": (COLORS**2).sum(axis=1),
        "white": np.array(255.0),
        "tolerance": np.array(-10.0),
        "one": np.array(1.0),
        "gain": np.array(6.0),
        "most": np.array(0.75),
        "rest": np.array(0.25),
        "half": np.array(0.5),
    }
    pool, node = {"pads": [4, 4, 4, 4], "count_include_pad": 1}, helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        node("Div", ["pixels", "white"], ["scaled"]),
        node("Transpose", ["scaled"], ["bgr"], perm=[0, 3, 1, 2]),
        node("ReduceSumSquare", ["bgr"], ["square"], axes=[1], keepdims=1),
        node("Conv", ["bgr", "weights", "bias"], ["product"]),
        node("Add", ["square", "product"], ["distance"]),
        node("Mul", ["distance", "tolerance"], ["badness"]),
        node("Add", ["badness", "one"], ["likeness"]),
        node("Relu", ["likeness"], ["alike"]),
        node("AveragePool", ["alike"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        node("AveragePool", ["cells"], ["smooth"], kernel_shape=[9, 9], **pool),
        # A plateau, so that large and small puppets score alike, with a peak on top of it.
        node("Mul", ["smooth", "gain"], ["steep"]),
        node("Min", ["steep", "one"], ["flat"]),
        node("Mul", ["flat", "most"], ["base"]),
        node("Mul", ["smooth", "rest"], ["peak"]),
        node("Add", ["base", "peak"], [found]),
    ]
    inputs, outputs = [IMAGE], [HEATMAPS]
    if carried:
        nodes += [node("Mul", ["previous", "half"], ["faded"])]
        nodes += [node("Max", [found, "faded"], [carried])]
        inputs, outputs = [IMAGE, PREVIOUS], [HEATMAPS, PRELIMINARY]
    if distilled:
        constants["nothing"] = np.array(0.0)
        nodes += [node("Mul", [found, "kernels"], ["matched"])]
        nodes += [node("Greater", ["fresh", "nothing"], ["starts"])]
        nodes += [node("Where", ["starts", "start", "matched"], ["heatmaps"])]
        nodes += [node("ReduceMax", ["heatmaps"], [distilled], axes=[2, 3])]
        inputs, outputs = [IMAGE, KERNELS, START, FRESH], [HEATMAPS, DISTILLED, PRELIMINARY]
    weights = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    graph = helper.make_graph(
        nodes, "color_finder", list(map(tensor, inputs)), list(map(tensor, outputs)), weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def tensor(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}[spec.dtype]
    return helper.make_tensor_value_info(spec.name, kind, spec.shape)


def manifest(name: str, method: str, graphs: dict[str, GraphSpec]) -> Manifest:
    return Manifest(
        name=name,
        method=method,
        skeleton=PENN13.name,
        input=InputSpec(256),
        normalisation=Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        heatmap=HeatmapSpec(64, 4.0, 1.5),
        graphs=graphs,
        score_threshold=0.2,
        training={"data": "none"},
    )


@pytest.fixture(scope="session")
def puppet_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A propagation bundle whose graphs find the puppet."""
    graphs = {
        "head": GraphSpec("head.onnx", (IMAGE,), (HEATMAPS,)),
        "step": GraphSpec("step.onnx", (IMAGE, PREVIOUS), (HEATMAPS, PRELIMINARY)),
    }
    contents = {
        "head": color_finder("heatmaps"),
        "step": color_finder("preliminary", carried="heatmaps"),
    }
    folder = tmp_path_factory.mktemp("bundles") / "puppet"
    return write_bundle(folder, manifest("puppet", "propagation", graphs), contents)


@pytest.fixture(scope="session")
def kernel_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A distillation bundle whose graphs find the puppet, as well as they did one frame before."""
    graphs = {
        "head": GraphSpec("head.onnx", (IMAGE,), (HEATMAPS,)),
        "step": GraphSpec(
            "step.onnx", (IMAGE, KERNELS, START, FRESH), (HEATMAPS, DISTILLED, PRELIMINARY)
        ),
    }
    contents = {
        "head": color_finder("heatmaps"),
        "step": color_finder("preliminary", distilled="distilled"),
    }
    folder = tmp_path_factory.mktemp("bundles") / "kernels"
    return write_bundle(folder, manifest("kernels", "distillation", graphs), contents)


@pytest.fixture(scope="session")
def framewise_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of one network that finds the puppet in each frame."""
    graphs = {"body": GraphSpec("body.onnx", (IMAGE,), (HEATMAPS,))}
    folder = tmp_path_factory.mktemp("bundles") / "framewise"
    contents = {"body": color_finder("heatmaps")}
    return write_bundle(folder, manifest("framewise", "framewise", graphs), contents)


@pytest.fixture(scope="session")
def puppet() -> Callable[..., Image]:
    """Draw a frame with the puppet in it."""
    return draw_puppet


def write_video(path: Path, frames: Iterable[Image], fps: float = 25.0) -> Path:
    writer: cv2.VideoWriter | None = None
    for frame in frames:
        if writer is None:
            size = frame.shape[1], frame.shape[0]
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
        writer.write(frame)
    assert writer is not None
    writer.release()
    return path


@pytest.fixture
def save_video() -> Callable[..., Path]:
    """Write frames to a path that ends in .avi; return the path."""
    return write_video


@pytest.fixture
def puppet_video(tmp_path: Path) -> Path:
    """A video of 12 frames in which the puppet walks to the right."""
    frames = (draw_puppet((120 + 4 * step, 120)) for step in range(12))
    return write_video(tmp_path / "walk.avi", frames)


@pytest.fixture
def make_result() -> Callable[..., PoseResult]:
    """Make a result of a standing person, or of nobody."""

    def make(frame_id: int = 0, person: bool = True, **latency: float) -> PoseResult:
        return PoseResult(
            frame_id=frame_id,
            timestamp_ms=40.0 * frame_id,
            keypoints=standing_person((160, 120), 160) if person else None,
            reason=None if person else "nobody in the frame",
            roi=(80.0, 40.0, 160.0, 160.0) if person else None,
            origin=Origin.PROPAGATED if person else None,
            key_frame_age=1 if person else None,
            latency=latency or {"network": 3.0, "total": 4.0},
            skeleton=PENN13,
        )

    return make
