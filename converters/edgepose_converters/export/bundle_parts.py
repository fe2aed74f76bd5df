"""Another head, another body or another way of propagation in a bundle that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
from torch import nn

from edgepose.benchmarking.model_set import PRELIMINARY, part_of_graph
from edgepose_converters.checkpoints.trained import TrainedModel
from edgepose_converters.export.methods import FLOW_PROPAGATION
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
from edgepose_runtime.geometry.input_view import InputView

HEAD, BODY = "head", "body"
#: Graphs that optical flow replaces.
_REPLACED = ("step", "propagate")


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
    training = {**manifest.training, HEAD: description}
    changed = replace(manifest, head_is_final=is_final, training=training)
    return _exchanged(bundle, changed, HEAD, head, out, crops, overwrite=overwrite)


def with_body(
    bundle: Bundle,
    model: TrainedModel,
    out: str | Path,
    crops: Sequence[Crop],
    name: str,
    *,
    overwrite: bool = False,
) -> tuple[Bundle, list[Agreement]]:
    """Write a copy of a bundle with another light network, as after fine-tuning.

    Args:
        bundle: of the method ``flow-propagation``, in float; its other graphs stay as they are.
        model: a trained network for single images.
        out: folder of the copy.
        crops: as for :func:`with_head`.
        name: of the copy.
        overwrite: replace a bundle that is already there.

    Returns:
        The copy, and how well each runtime agrees with torch on the body.

    Raises:
        ConfigError: the bundle is of another method or quantised, or the network is for other
            joints, images or heat-maps.
        BackendError: a runtime estimates other joints than torch; nothing is written.
        OutputError: the copy cannot be written there.
    """
    manifest = bundle.manifest
    if manifest.method != FLOW_PROPAGATION or manifest.precision != "float32":
        raise ConfigError(
            "The light network can be exchanged in a float bundle that propagates by optical flow, "
            f"such as ppn-swift-float; {manifest.name!r} is {manifest.precision} and for the "
            f"method {manifest.method!r}."
        )
    _require_same_form(manifest, model)
    check_bundle_target(out, overwrite=overwrite)
    training = {**manifest.training, BODY: model.training}
    changed = replace(manifest, name=name, training=training, accuracy={}, latency={})
    return _exchanged(bundle, changed, BODY, model.network, out, crops, overwrite=overwrite)


def _require_same_form(manifest: Manifest, model: TrainedModel) -> None:
    pairs = {
        "skeleton": (manifest.skeleton, model.skeleton.name),
        "images": (_described(manifest.input.view), _described(model.view)),
        "heat-maps": (manifest.heatmap, model.heatmap),
    }
    for name, (expected, given) in pairs.items():
        if expected != given:
            raise ConfigError(
                f"The {name} of the bundle {manifest.name!r} and of the checkpoint differ: "
                f"{expected}; and {given}. Train a recipe that extends the one of the bundle."
            )


def _described(view: InputView) -> str:
    across, along = view.window
    blue, green, red = view.background
    return (
        f"{view.width}x{view.height} pixels that show {across:.3g}x{along:.3g} of the region, "
        f"beside the frame the colour RGB {red}, {green}, {blue}"
    )


def _exchanged(
    bundle: Bundle,
    manifest: Manifest,
    name: str,
    network: nn.Module,
    out: str | Path,
    crops: Sequence[Crop],
    *,
    overwrite: bool,
) -> tuple[Bundle, list[Agreement]]:
    """Write a copy of a bundle with this manifest and another network as one of its graphs."""
    graph = export_image_graph(name, network, _geometry(manifest), weights="float16")[name]
    agreements = _compared(manifest, graph, crops)
    contents = {each: bundle.graph_path(each).read_bytes() for each in manifest.graphs}
    contents[name] = graph.content
    described = GraphSpec(f"{name}.onnx", graph.inputs, graph.outputs)
    graphs = {**manifest.graphs, name: described}
    changed = replace(manifest, graphs=graphs, self_check=None)
    copy = write_bundle(out, changed, contents, springs=bundle.springs(), overwrite=overwrite)
    return add_self_check(copy), agreements


def _geometry(manifest: Manifest) -> Geometry:
    taken = manifest.input
    return Geometry(taken.size, manifest.heatmap.size, manifest.num_joints, taken.view)


def _compared(manifest: Manifest, graph: ExportedGraph, crops: Sequence[Crop]) -> list[Agreement]:
    """Compare a network by itself, as if it processed every frame."""
    alone = replace(
        manifest,
        method="framewise",
        weights="float16",
        graphs={"body": GraphSpec("body.onnx", graph.inputs, graph.outputs)},
    )
    agreements = compare(alone, {"body": graph}, crops)
    require_agreement(agreements)
    return agreements


def with_flow_propagation(
    bundle: Bundle, out: str | Path, *, reinitialise_every: int | None, overwrite: bool = False
) -> Bundle:
    """Write a copy of a bundle whose poses are propagated by optical flow.

    Of the step the copy keeps the body, as it is and in its precision.

    Args:
        bundle: of the method ``propagation``, with a head whose heat-maps are final.
        out: folder of the copy.
        reinitialise_every: after how many frames the head runs again; ``None`` for never.
        overwrite: replace a bundle that is already there.

    Raises:
        ConfigError: the bundle is for another method, or has no strong head.
        OutputError: the copy cannot be written there.
    """
    manifest = bundle.manifest
    if manifest.method != "propagation" or not manifest.head_is_final:
        raise ConfigError(
            "Optical flow takes the place of a propagation unit behind a head that is final; the "
            f"bundle {manifest.name!r} is for the method {manifest.method!r}"
            f"{'' if manifest.head_is_final else ' without such a head'}. Give a bundle that was "
            "made with --head rtmpose:FILE --head-is-final."
        )
    check_bundle_target(out, overwrite=overwrite)
    kept = {name: graph for name, graph in manifest.graphs.items() if name not in _REPLACED}
    contents = {name: bundle.graph_path(name).read_bytes() for name in kept}
    contents["body"] = _body_of(bundle.graph_path("step"))
    body = GraphSpec("body.onnx", kept["head"].inputs, kept["head"].outputs)
    changed = replace(
        manifest,
        method=FLOW_PROPAGATION,
        graphs={**kept, "body": body},
        reinitialise_every=reinitialise_every,
        latency={},  # those of other graphs
        self_check=None,
    )
    return add_self_check(
        write_bundle(out, changed, contents, springs=bundle.springs(), overwrite=overwrite)
    )


def _body_of(step: Path) -> bytes:
    """Return the graph from the image to the preliminary heat-maps, under their usual name."""
    model = onnx.load_from_string(part_of_graph(step, "image", PRELIMINARY))
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["heatmaps" if name == PRELIMINARY else name for name in names]
    model.graph.output[0].name = "heatmaps"
    content: bytes = model.SerializeToString()
    return content
