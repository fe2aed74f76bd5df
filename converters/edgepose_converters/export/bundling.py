"""From checkpoints to a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from edgepose.models.backbones.imagenet import MEAN, STD
from edgepose.models.pose.test_time_averaging import TestTimeAveragedHead
from edgepose.models.thin_slicing.network import SliceNetwork
from edgepose_converters.checkpoints.trained import TrainedModel
from edgepose_converters.export.methods import FLOW_PROPAGATION, exporter_for
from edgepose_converters.export.networks import ExportedGraph, Geometry
from edgepose_converters.export.verification import (
    Agreement,
    Crop,
    add_self_check,
    compare,
    require_agreement,
)
from edgepose_runtime.bundles.bundle import Bundle, check_bundle_target, write_bundle
from edgepose_runtime.bundles.manifest import GraphSpec, InputSpec, Manifest, Normalisation
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.thin_slicing.springs import Springs

#: What a model card may say; each is an object of the manifest.
CARD = ("training", "accuracy", "latency", "licence")


@dataclass(frozen=True)
class BundleOptions:
    """How a bundle is made.

    Attributes:
        name: the bundle's name.
        weights: ``float32``, or ``float16`` for half the size.
        score_threshold: below this score a joint is not to be trusted.
        reinitialise_every: after how many frames the head should run again, None for never.
        head_is_final: the head's heat-maps are the result of the frames on which it runs.
        card: what the manifest says of ``training``, ``accuracy``, ``latency`` and ``licence``,
            over what the checkpoint says.
        overwrite: replace a bundle that is already there.
    """

    name: str
    weights: str = "float32"
    score_threshold: float = 0.2
    reinitialise_every: int | None = None
    head_is_final: bool = False
    card: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.card) - set(CARD))
        if unknown:
            raise ConfigError(f"A model card has {', '.join(CARD)}, but no {unknown[0]!r}.")
        for name, part in self.card.items():
            if not isinstance(part, Mapping):
                raise ConfigError(f"{name!r} in a model card must be an object; got {part!r}.")


def build_bundle(
    model: TrainedModel,
    out: str | Path,
    options: BundleOptions,
    crops: Sequence[Crop],
    *,
    head: nn.Module | None = None,
) -> tuple[Bundle, list[Agreement]]:
    """Export a trained model, compare the graphs with it, and write them as a bundle.

    Args:
        model: the networks.
        out: folder of the bundle.
        options: how to make it.
        crops: consecutive frames to compare torch and the runtimes on, as the network sees them.
        head: starts a sequence in place of the model's own head.

    Returns:
        The bundle, and how well each runtime agrees with torch.

    Raises:
        ConfigError: the model has no place for a head, or options are wrong.
        OutputError: the bundle cannot be written there.
        BackendError: a runtime estimates other joints than torch; nothing is written.
    """
    check_bundle_target(out, overwrite=options.overwrite)
    exporter = exporter_for(model.network, head)
    graphs = exporter.graphs(model.network, Geometry.of(model), head, options.weights)
    manifest = _manifest(model, exporter.method, graphs, options)
    agreements = compare(manifest, graphs, crops)
    require_agreement(agreements)
    measured = {"conversion": [asdict(agreement) for agreement in agreements]}
    manifest = replace(manifest, accuracy={**manifest.accuracy, **measured})
    contents = {name: graph.content for name, graph in graphs.items()}
    springs = _learned_springs(model.network)
    written = write_bundle(out, manifest, contents, springs=springs, overwrite=options.overwrite)
    return add_self_check(written), agreements


def averaged_head(model: TrainedModel, scales: Sequence[float]) -> TestTimeAveragedHead:
    """Return the network that starts the model's sequences, averaged over its mirror and scales.

    Raises:
        ConfigError: the cells of its heat-maps are not symmetric under mirroring.
    """
    if model.heatmap.offset != (model.heatmap.stride - 1) / 2:
        raise ConfigError(
            f"Heat-maps of stride {model.heatmap.stride:g} and offset {model.heatmap.offset:g} "
            "cannot be averaged with their mirror: the offset must be (stride - 1) / 2."
        )
    return TestTimeAveragedHead(
        starting_network(model),
        model.skeleton.flip_order,
        model.input_size,
        model.heatmap.size,
        scales=scales,
        view=model.view,
    )


def starting_network(model: TrainedModel) -> nn.Module:
    """Return the network that finds a pose in one image: a PPN's head, else its body."""
    return exporter_for(model.network).starter(model.network)


def require_same_maps(model: TrainedModel, other: TrainedModel) -> None:
    """Refuse a head whose heat-maps mean something else than those of the model.

    Raises:
        ConfigError: joints or sizes differ.
    """
    for name in ("skeleton", "input_size", "heatmap", "view"):
        mine, theirs = getattr(model, name), getattr(other, name)
        if mine != theirs:
            raise ConfigError(
                f"The head's {name.replace('_', ' ')} is {theirs}, but the model's is {mine}; "
                "both networks must see the same crop and return the same heat-maps."
            )


def _learned_springs(network: nn.Module) -> Springs | None:
    """Return the springs that a network was trained with, where they are for its heat-maps."""
    if not isinstance(network, SliceNetwork) or network.before_sigmoid:
        return None
    return network.messages.springs()


def _input(model: TrainedModel) -> InputSpec:
    view, size = model.view, model.input_size
    if view == InputView(size, size):
        return InputSpec(size)
    return InputSpec(size, view.width, view.height, view.window, view.background)


def _manifest(
    model: TrainedModel, method: str, graphs: Mapping[str, ExportedGraph], options: BundleOptions
) -> Manifest:
    card: dict[str, Any] = {"training": model.training, **options.card}
    return Manifest(
        name=options.name,
        method=method,
        skeleton=model.skeleton.name,
        input=_input(model),
        normalisation=Normalisation(MEAN, STD),
        heatmap=model.heatmap,
        graphs={
            name: GraphSpec(f"{name}.onnx", graph.inputs, graph.outputs)
            for name, graph in graphs.items()
        },
        weights=options.weights,
        score_threshold=options.score_threshold,
        reinitialise_every=options.reinitialise_every,
        # Flow starts from what the head saw; the light network does not process its frames.
        head_is_final=options.head_is_final or method == FLOW_PROPAGATION,
        **card,
    )
