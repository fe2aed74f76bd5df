"""Whether the members of a manifest fit each other.

A bundle that contradicts itself is refused, since running a network with the wrong geometry gives
poses that are wrong without looking wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.manifest import METHOD_GRAPHS, OPTIONAL_GRAPHS, Manifest
from edgepose_runtime.tensors import TensorSpec


def check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest that contradicts itself.

    Raises:
        BundleFormatError: sizes do not fit, the threshold is no score, or a graph is missing or of
            other tensors than the method needs.
    """
    _check_sizes(manifest)
    _check_threshold(manifest.score_threshold)
    _check_graphs(manifest)


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
    files += [] if manifest.springs is None else [manifest.springs.file]
    if len(set(files)) != len(files):
        raise BundleFormatError("Two graphs of the manifest share one file.")


def _check_tensors(manifest: Manifest, name: str) -> None:
    size, cells = manifest.input.size, manifest.heatmap.size
    image = TensorSpec("image", manifest.input.dtype, ("N", size, size, 3))
    maps = TensorSpec("heatmaps", "float32", ("N", manifest.num_joints, cells, cells))
    inputs, outputs = {image}, {maps}
    previous, preliminary = replace(maps, name="previous"), replace(maps, name="preliminary")
    if name == "step":
        inputs, outputs = {image, previous}, {maps, preliminary}
    elif name == "propagate":
        inputs = {preliminary, previous}
    graph = manifest.graphs[name]
    if set(graph.inputs) != inputs or not outputs <= set(graph.outputs):
        raise BundleFormatError(
            f"The graph {name!r} should take {_listed(inputs)} and return {_listed(outputs)}, but "
            f"takes {_listed(graph.inputs)} and returns {_listed(graph.outputs)}."
        )


def _listed(tensors: Iterable[TensorSpec]) -> str:
    return ", ".join(sorted(f"{tensor.name}: {tensor}" for tensor in tensors))
