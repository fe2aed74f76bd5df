"""Whether the members of a manifest fit each other.

A bundle that contradicts itself is refused, since running a network with the wrong geometry gives
poses that are wrong without looking wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from edgepose_runtime.bundles.manifest import (
    DETECTOR_GRAPH,
    METHOD_GRAPHS,
    OPTIONAL_GRAPHS,
    DetectorSpec,
    GraphSpec,
    Manifest,
)
from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.tensors import TensorSpec

Tensors = set[TensorSpec]
_METHODS_OF_FINAL_HEADS = ("propagation", "flow-propagation")
_FRESH = TensorSpec("fresh", "float32", ("N", 1, 1, 1))
#: Channels, rows and columns of the kernels, where a graph does not say how many.
_KERNEL_SIDES = ("C", "S", "S")


def check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest that contradicts itself.

    Raises:
        BundleFormatError: sizes do not fit, the threshold is no score, the method has no head that
            could be final, or a graph is missing or of other tensors than the method needs.
    """
    _check_sizes(manifest)
    _check_threshold(manifest.score_threshold)
    _check_head(manifest)
    _check_graphs(manifest)
    _check_detector(manifest)
    _check_self_check(manifest)


def _check_self_check(manifest: Manifest) -> None:
    if manifest.self_check is None:
        return
    size = manifest.heatmap.size
    for name in ("initialised", "advanced"):
        peaks = getattr(manifest.self_check, name)
        inside = all(peak.row < size and peak.column < size for peak in peaks)
        if len(peaks) != manifest.num_joints or not inside:
            raise BundleFormatError(
                f"The self-check {name!r} must have a cell of the {size}x{size} heat-map for each "
                f"of {manifest.num_joints} joints; it has {len(peaks)} items."
            )


def check_network(
    name: str,
    graph: GraphSpec,
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
) -> None:
    """Refuse a loaded graph that is not the one its manifest describes.

    Heat-maps of another size, or of as many channels in another tensor, would be decoded to poses
    that are wrong without looking wrong.

    Args:
        name: of the graph, for the error.
        graph: what the manifest says.
        inputs: what the network takes, by name.
        outputs: what it returns, by name.

    Raises:
        BundleFormatError: a tensor is missing, not in the manifest, or of another type or shape.
    """
    for kind, described, found in (
        ("takes", graph.inputs, inputs),
        ("returns", graph.outputs, outputs),
    ):
        fits = {spec.name for spec in described} == found.keys() and all(
            _is_as_described(spec, found[spec.name]) for spec in described
        )
        if not fits:
            raise BundleFormatError(
                f"The graph {name!r} is not what the manifest says: it {kind} "
                f"{_listed(found.values())} instead of {_listed(described)}. Convert the "
                "checkpoint again."
            )


def _is_as_described(described: TensorSpec, found: TensorSpec) -> bool:
    """Whether sizes that both know are equal; a network may have fixed the batch, or left it."""
    return (
        described.dtype == found.dtype
        and len(described.shape) == len(found.shape)
        and all(
            wanted == size or isinstance(wanted, str) or (axis == 0 and isinstance(size, str))
            for axis, (wanted, size) in enumerate(zip(described.shape, found.shape, strict=True))
        )
    )


def _check_sizes(manifest: Manifest) -> None:
    """Refuse heat-maps that do not span the crop: joints would be scaled without looking so."""
    heatmap, size = manifest.heatmap, manifest.input.size
    if heatmap.size * heatmap.stride != size:
        raise BundleFormatError(
            f"Heat-maps of {heatmap.size} cells with a stride of {heatmap.stride:g} pixels do not "
            f"span an input of {size} pixels."
        )


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise BundleFormatError(f"The score threshold must be from 0 to 1, but is {threshold:g}.")


def _check_head(manifest: Manifest) -> None:
    if manifest.head_is_final and manifest.method not in _METHODS_OF_FINAL_HEADS:
        raise BundleFormatError(
            f"'head_is_final' is for bundles of the methods {' and '.join(_METHODS_OF_FINAL_HEADS)}"
            f", but the bundle {manifest.name!r} is for {manifest.method!r}."
        )


def _check_graphs(manifest: Manifest) -> None:
    """Refuse graphs that are missing, or of which two share a file."""
    for name in METHOD_GRAPHS[manifest.method]:
        if name not in manifest.graphs:
            raise BundleFormatError(
                f"The method {manifest.method!r} needs the graph {name!r}, but the manifest has "
                f"only {', '.join(manifest.graphs) or 'none'}."
            )
        _check_tensors(manifest, name)
    for name in OPTIONAL_GRAPHS.get(manifest.method, ()):
        if name in manifest.graphs:
            _check_tensors(manifest, name)
    files = [graph.file for graph in manifest.graphs.values()]
    if others := [file for file in files if not file.endswith(".onnx")]:
        raise BundleFormatError(f"Graphs are ONNX files, named *.onnx; one is {others[0]!r}.")
    files += [] if manifest.springs is None else [manifest.springs.file]
    if len(set(files)) != len(files):
        raise BundleFormatError("Two graphs of the manifest share one file.")


def _check_detector(manifest: Manifest) -> None:
    """Refuse a detector without its graph, or the other way round, or one that does not fit it."""
    spec = manifest.detector
    if (spec is None) != (DETECTOR_GRAPH not in manifest.graphs):
        lacking = f"graph {DETECTOR_GRAPH!r}" if spec else f"section {DETECTOR_GRAPH!r}"
        raise BundleFormatError(f"The manifest describes a person detector without the {lacking}.")
    if spec is None:
        return
    _check_detector_numbers(spec)
    inputs, outputs = detector_tensors(spec)
    _require_tensors(manifest.graphs[DETECTOR_GRAPH], DETECTOR_GRAPH, inputs, outputs)


def _check_detector_numbers(spec: DetectorSpec) -> None:
    if not spec.strides or any(each < 1 or spec.size % each for each in spec.strides):
        raise BundleFormatError(
            f"The detector's strides {list(spec.strides)} must divide its size, {spec.size} pixels."
        )
    for name in ("score_threshold", "max_overlap"):
        if not 0 <= getattr(spec, name) <= 1:
            raise BundleFormatError(
                f"The detector's {name} must be from 0 to 1, but is {getattr(spec, name):g}."
            )


def detector_tensors(spec: DetectorSpec) -> tuple[Tensors, Tensors]:
    """Return the tensors that a detector's graph takes and returns."""
    frame = TensorSpec("frame", "uint8", ("N", spec.size, spec.size, 3))
    cells = {stride: spec.size // stride for stride in spec.strides}
    return {frame}, {
        TensorSpec(f"stride_{stride}", "float32", ("N", side, side, 5))
        for stride, side in cells.items()
    }


def _check_tensors(manifest: Manifest, name: str) -> None:
    inputs, outputs = _expected(manifest, name)
    _require_tensors(manifest.graphs[name], name, inputs, outputs)


def _require_tensors(graph: GraphSpec, name: str, inputs: Tensors, outputs: Tensors) -> None:
    if set(graph.inputs) != inputs or not outputs <= set(graph.outputs):
        raise BundleFormatError(
            f"The graph {name!r} should take {_listed(inputs)} and return {_listed(outputs)}, but "
            f"takes {_listed(graph.inputs)} and returns {_listed(graph.outputs)}."
        )


def _expected(manifest: Manifest, name: str) -> tuple[Tensors, Tensors]:
    """Return what a graph should take, and what it should return at least."""
    cells = manifest.heatmap.size
    image = TensorSpec("image", manifest.input.dtype, ("N", *manifest.input.view.shape))
    maps = TensorSpec("heatmaps", "float32", ("N", manifest.num_joints, cells, cells))
    previous, preliminary = replace(maps, name="previous"), replace(maps, name="preliminary")
    if name == "propagate":
        return {preliminary, previous}, {maps}
    if name != "step":
        return {image}, {maps}
    if manifest.method == "distillation":
        kernels = _kernels(manifest.graphs[name])
        inputs = {image, kernels, replace(maps, name="start"), _FRESH}
        return inputs, {maps, preliminary, replace(kernels, name="distilled")}
    return {image, previous}, {maps, preliminary}


def _kernels(graph: GraphSpec) -> TensorSpec:
    """Return the kernels that a graph takes, whose size is its own affair."""
    found = [spec for spec in graph.inputs if spec.name == "kernels"]
    sides = found[0].shape[1:] if found else ()
    if len(sides) == len(_KERNEL_SIDES) and all(isinstance(side, int) for side in sides):
        return TensorSpec("kernels", "float32", ("N", *sides))
    return TensorSpec("kernels", "float32", ("N", *_KERNEL_SIDES))


def _listed(tensors: Iterable[TensorSpec]) -> str:
    return ", ".join(sorted(f"{tensor.name}: {tensor}" for tensor in tensors))
