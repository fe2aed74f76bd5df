"""Another head in a bundle that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from edgepose_converters.export.networks import ExportedGraph, Geometry, export_image_graph
from edgepose_converters.export.verification import (
    Agreement,
    Crop,
    add_self_check,
    compare,
    require_agreement,
)
from edgepose_runtime.bundles.bundle import Bundle, check_bundle_target, write_bundle
from edgepose_runtime.bundles.manifest import GraphSpec, Manifest
from edgepose_runtime.errors import ConfigError

HEAD = "head"


def with_head(
    bundle: Bundle,
    head: nn.Module,
    out: str | Path,
    crops: Sequence[Crop],
    *,
    is_final: bool,
    description: str,
    overwrite: bool = False,
) -> tuple[Bundle, list[Agreement]]:
    """Write a copy of a bundle with another head, whose weights are stored as float16.

    Args:
        bundle: its other graphs stay as they are, whatever their precision.
        head: a network from the bundle's images to its heat-maps.
        out: folder of the copy.
        crops: what to compare torch and the runtimes on, as the network sees it.
        is_final: see `edgepose_runtime.bundles.manifest.Manifest.head_is_final`.
        description: of the head, for the model card.
        overwrite: replace a bundle that is already there.

    Returns:
        The copy, and how well each runtime agrees with torch on the head.

    Raises:
        ConfigError: the bundle's method has no head, or the head returns other heat-maps.
        BackendError: a runtime estimates other joints than torch; nothing is written.
        OutputError: the copy cannot be written there.
    """
    manifest = bundle.manifest
    if HEAD not in manifest.graphs:
        raise ConfigError(
            f"The bundle {manifest.name!r} has no head to replace: it is for the method "
            f"{manifest.method!r}, which treats every frame alike."
        )
    check_bundle_target(out, overwrite=overwrite)
    graph = export_image_graph(HEAD, head, _geometry(manifest), weights="float16")[HEAD]
    agreements = _compared(manifest, graph, crops)
    contents = {name: bundle.graph_path(name).read_bytes() for name in manifest.graphs}
    described = GraphSpec(f"{HEAD}.onnx", graph.inputs, graph.outputs)
    changed = replace(
        manifest,
        graphs={**manifest.graphs, HEAD: described},
        head_is_final=is_final,
        training={**manifest.training, HEAD: description},
        self_check=None,
    )
    contents[HEAD] = graph.content
    copy = write_bundle(out, changed, contents, springs=bundle.springs(), overwrite=overwrite)
    return add_self_check(copy), agreements


def _geometry(manifest: Manifest) -> Geometry:
    taken = manifest.input
    return Geometry(taken.size, manifest.heatmap.size, manifest.num_joints, taken.view)


def _compared(manifest: Manifest, graph: ExportedGraph, crops: Sequence[Crop]) -> list[Agreement]:
    """Compare the head by itself, as if it processed every frame."""
    alone = replace(
        manifest,
        method="framewise",
        weights="float16",
        graphs={"body": GraphSpec("body.onnx", graph.inputs, graph.outputs)},
    )
    agreements = compare(alone, {"body": graph}, crops)
    require_agreement(agreements)
    return agreements
