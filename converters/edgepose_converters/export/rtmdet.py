"""The published RTMDet-nano person detector as a bundle's detector.

The published graph takes an image that is normalised and has its channels first. The bundle's takes
the pixels of the frame: uint8, channels last. What the network computes between does not change,
except that its weights may be rounded to float16.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from edgepose_converters.export.float16 import store_as_float16
from edgepose_runtime.bundles.bundle import Bundle, write_bundle
from edgepose_runtime.bundles.manifest import DETECTOR_GRAPH, DetectorSpec, GraphSpec
from edgepose_runtime.bundles.validation import detector_tensors
from edgepose_runtime.errors import BackendError, CheckpointError

#: Of the channels blue, green and red, in grey levels.
MEAN = (103.53, 116.28, 123.675)
STD = (57.375, 57.12, 58.395)
STRIDES = (8, 16, 32)
#: To begin to follow somebody takes this score; to go on it takes less. Chosen among 0.5, 0.55 and
#: 0.6 by MOTA on PETS09-S2L1 and on composed videos.
SCORE_THRESHOLD = 0.55
MAX_OVERLAP = 0.65
#: The largest difference of the converted graph's output from the published one's, in parts of the
#: largest value: that of rounding the weights to float16.
LARGEST_DIFFERENCE = 0.02


@dataclass(frozen=True)
class Detector:
    """A detector for a bundle.

    Attributes:
        content: the ONNX graph.
        spec: how its output is read.
        graph: its tensors.
    """

    content: bytes
    spec: DetectorSpec
    graph: GraphSpec


def import_rtmdet(path: Path, weights: str = "float16") -> Detector:
    """Convert the published graph.

    Args:
        path: its ONNX file.
        weights: ``float16``, or ``float32`` to keep them as they are.

    Raises:
        CheckpointError: the file is missing, damaged or another network.
        BackendError: the converted graph computes something else.
    """
    published = _read(path)
    size, outputs = _geometry(published, path)
    spec = DetectorSpec(size, STRIDES, SCORE_THRESHOLD, MAX_OVERLAP)
    converted = onnx.ModelProto()
    converted.CopyFrom(published)
    if weights == "float16":
        _round_constants(converted.graph)
    _take_pixels(converted.graph, size)
    for name, stride in zip(outputs, STRIDES, strict=True):
        _rename_output(converted.graph, name, stride, size // stride)
    if weights == "float16":
        store_as_float16(converted)
    onnx.checker.check_model(converted)
    detector = _described(converted.SerializeToString(), spec)
    _require_agreement(published, outputs, detector)
    return detector


def with_detector(bundle: Bundle, detector: Detector, out: Path, *, overwrite: bool) -> Bundle:
    """Write a copy of a bundle that has this detector, in place of its own if it has one.

    Raises:
        OutputError: the copy cannot be written there.
    """
    others = [name for name in bundle.manifest.graphs if name != DETECTOR_GRAPH]
    contents = {name: bundle.graph_path(name).read_bytes() for name in others}
    graphs = {name: bundle.manifest.graphs[name] for name in others}
    graphs[DETECTOR_GRAPH] = detector.graph
    card = {
        "detector": "RTMDet-nano for people, 320 pixels (MMDetection), Apache-2.0; trained on COCO"
    }
    manifest = replace(
        bundle.manifest,
        graphs=graphs,
        detector=detector.spec,
        licence={**bundle.manifest.licence, **card},
    )
    return write_bundle(
        out,
        manifest,
        {**contents, DETECTOR_GRAPH: detector.content},
        springs=bundle.springs(),
        overwrite=overwrite,
    )


def _read(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"The graph {path} cannot be read: {error}.") from error


def _geometry(model: onnx.ModelProto, path: Path) -> tuple[int, list[str]]:
    """Return the side of the image and the names of the outputs, by stride."""
    shapes = {each.name: _shape(each) for each in (*model.graph.input, *model.graph.output)}
    taken = shapes[model.graph.input[0].name] if len(model.graph.input) == 1 else []
    size = taken[2] if len(taken) == 4 else 0
    wanted = {(1, size // stride, size // stride, 5) for stride in STRIDES}
    names = [each.name for each in model.graph.output]
    if taken != [1, 3, size, size] or not size or {(*shapes[n],) for n in names} != wanted:
        raise CheckpointError(
            f"{path} is no RTMDet for people: it must take one image (1, 3, size, size) and return "
            f"a map (1, size / s, size / s, 5) for each stride s of {', '.join(map(str, STRIDES))}."
        )
    return size, sorted(names, key=lambda name: -shapes[name][1])


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _round_constants(graph: onnx.GraphProto) -> None:
    for stored in graph.initializer:
        values = numpy_helper.to_array(stored)
        if values.dtype == np.float32 and values.ndim > 1:
            rounded = values.astype(np.float16).astype(np.float32)
            stored.CopyFrom(numpy_helper.from_array(rounded, stored.name))


def _take_pixels(graph: onnx.GraphProto, size: int) -> None:
    """Put a normalisation of uint8 pixels, channels last, before the graph."""
    image = graph.input[0].name
    nodes = [
        helper.make_node("Cast", ["frame"], ["frame.float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["frame.float", "frame.mean"], ["frame.centred"]),
        helper.make_node("Div", ["frame.centred", "frame.std"], ["frame.normal"]),
        helper.make_node("Transpose", ["frame.normal"], [image], perm=[0, 3, 1, 2]),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    for name, values in (("mean", MEAN), ("std", STD)):
        constant = numpy_helper.from_array(np.array(values, np.float32), f"frame.{name}")
        graph.initializer.append(constant)
    del graph.input[:]
    graph.input.append(
        helper.make_tensor_value_info("frame", TensorProto.UINT8, ["N", size, size, 3])
    )


def _rename_output(graph: onnx.GraphProto, name: str, stride: int, side: int) -> None:
    new = f"stride_{stride}"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if each == name else each for each in names]
    for each in graph.output:
        if each.name == name:
            info = helper.make_tensor_value_info(new, TensorProto.FLOAT, ["N", side, side, 5])
            each.CopyFrom(info)


def _described(content: bytes, spec: DetectorSpec) -> Detector:
    inputs, outputs = detector_tensors(spec)
    tensors = tuple(inputs), tuple(sorted(outputs, key=lambda each: each.name))
    return Detector(content, spec, GraphSpec(f"{DETECTOR_GRAPH}.onnx", *tensors))


def _require_agreement(published: onnx.ModelProto, outputs: list[str], detector: Detector) -> None:
    """Refuse a converted graph that returns something else for a made-up frame."""
    size = detector.spec.size
    frame = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    image = ((frame - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    options = {"providers": ["CPUExecutionProvider"]}
    before = onnxruntime.InferenceSession(published.SerializeToString(), **options)
    after = onnxruntime.InferenceSession(detector.content, **options)
    expected = before.run(outputs, {published.graph.input[0].name: image})
    got = after.run([f"stride_{stride}" for stride in STRIDES], {"frame": frame})
    for wanted, found in zip(expected, got, strict=True):
        difference = float(np.abs(wanted - found).max() / np.abs(wanted).max())
        if not difference <= LARGEST_DIFFERENCE:
            raise BackendError(
                f"The converted detector's output differs by {difference:.3f} of its size from "
                f"that of the published graph; {LARGEST_DIFFERENCE:g} is allowed."
            )
