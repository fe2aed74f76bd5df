"""Export to ONNX: opset 17, standard operators, any number of samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgepose.models import DKD, PPN
from edgepose.models.pose.batch_norm_folding import fold_batch_norms
from edgepose_converters.checkpoints.trained import TrainedModel
from edgepose_converters.export.float16 import round_weights, store_as_float16
from edgepose_converters.export.graphs import ImageGraph, KernelStepGraph, PropagateGraph, StepGraph
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.tensors import TensorSpec

OPSET = 17
WEIGHTS = ("float32", "float16")
#: Whether a sample is the first of its sequence: 1 or 0.
FRESH = TensorSpec("fresh", "float32", ("N", 1, 1, 1))


@dataclass(frozen=True)
class Geometry:
    """Sizes of what goes in and out of the graphs.

    Attributes:
        input_size: side of the region in pixels.
        heatmap_size: side of the heat-maps in cells.
        joints: K, how many heat-maps there are.
        view: what the graphs see of the region, None for all of it in a square.
    """

    input_size: int
    heatmap_size: int
    joints: int
    view: InputView | None = None

    @classmethod
    def of(cls, model: TrainedModel) -> Geometry:
        """Return the sizes of the graphs that can be exported from a trained model."""
        return cls(model.input_size, model.heatmap.size, model.skeleton.num_joints, model.view)

    @property
    def image(self) -> TensorSpec:
        """The input of all graphs."""
        view = self.view or InputView(self.input_size, self.input_size)
        return TensorSpec("image", "uint8", ("N", *view.shape))

    def maps(self, name: str) -> TensorSpec:
        """Heat-maps of that name."""
        size = self.heatmap_size
        return TensorSpec(name, "float32", ("N", self.joints, size, size))


@dataclass(frozen=True)
class ExportedGraph:
    """A graph and the networks it was made from, which take and return the same in order.

    Attributes:
        content: the ONNX file.
        trained: the network as it was trained.
        stored: the same with batch norms folded, and with rounded weights if they are stored so.
        inputs: what it takes.
        outputs: what it returns.
    """

    content: bytes
    trained: nn.Module
    stored: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def export_ppn(
    ppn: PPN, geometry: Geometry, *, head: nn.Module | None = None, weights: str = "float32"
) -> dict[str, ExportedGraph]:
    """Export a PPN as the graphs ``head``, ``step`` and ``propagate`` (PPN, section "Structure").

    The last is the propagation unit by itself: with it a late answer of a remote head is carried
    through the frames since.

    Args:
        ppn: the trained networks.
        geometry: sizes of image and heat-maps.
        head: starts a sequence in place of the PPN's own head.
        weights: ``float32``, or ``float16`` to halve the files; computed is in float32 either way.

    Raises:
        ConfigError: the network does not return heat-maps of that geometry.
    """
    starter = head or ppn.head or ppn.body
    previous, preliminary = geometry.maps("previous"), geometry.maps("preliminary")
    heatmaps = geometry.maps("heatmaps")
    return {
        **export_image_graph("head", starter, geometry, weights=weights),
        "step": export_graph(
            StepGraph(ppn), (geometry.image, previous), (heatmaps, preliminary), weights=weights
        ),
        "propagate": export_graph(
            PropagateGraph(ppn), (preliminary, previous), (heatmaps,), weights=weights
        ),
    }


def export_dkd(
    dkd: DKD, geometry: Geometry, *, head: nn.Module | None = None, weights: str = "float32"
) -> dict[str, ExportedGraph]:
    """Export a DKD with a memory as the graphs ``head`` and ``step`` (DKD, Algorithm 1).

    ``step`` encodes an image, matches the kernels of the frame before and distils new ones. Where
    ``fresh`` is above 0 it distils them of the heat-maps ``start``, which the head made of the same
    image, and matches nothing: so a sequence starts without a graph of its own.

    Args:
        dkd: the trained networks.
        geometry: sizes of image and heat-maps.
        head: starts a sequence in place of the DKD's own initialiser.
        weights: see :func:`export_ppn`.

    Raises:
        ConfigError: the network does not return heat-maps of that geometry.
    """
    starter = head or dkd.initialiser or dkd.encoder
    kernels = _remembered(dkd, geometry)
    inputs = (geometry.image, kernels, geometry.maps("start"), FRESH)
    outputs = (
        geometry.maps("heatmaps"),
        replace(kernels, name="distilled"),
        geometry.maps("preliminary"),
    )
    return {
        **export_image_graph("head", starter, geometry, weights=weights),
        "step": export_graph(KernelStepGraph(dkd), inputs, outputs, weights=weights),
    }


def _remembered(dkd: DKD, geometry: Geometry) -> TensorSpec:
    """Return what the networks hand on from frame to frame, seen in a run."""
    size = geometry.input_size
    with torch.no_grad():
        _, state = dkd.eval().start(torch.zeros(1, 3, size, size))
    return TensorSpec("kernels", "float32", ("N", *state.shape[1:]))


def export_body(
    network: nn.Module, geometry: Geometry, *, weights: str = "float32"
) -> dict[str, ExportedGraph]:
    """Export a network for single images as the graph ``body``; see :func:`export_ppn`."""
    return export_image_graph("body", network, geometry, weights=weights)


def export_image_graph(
    name: str, network: nn.Module, geometry: Geometry, *, weights: str
) -> dict[str, ExportedGraph]:
    """Export a network from images to heat-maps as the graph ``name``."""
    inputs, outputs = (geometry.image,), (geometry.maps("heatmaps"),)
    return {name: export_graph(ImageGraph(network), inputs, outputs, weights=weights)}


def export_graph(
    module: nn.Module,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    weights: str = "float32",
) -> ExportedGraph:
    """Export any module with these inputs and outputs.

    Raises:
        ConfigError: ``weights`` is unknown, or the module returns something else.
        CheckpointError: a weight is too large for float16.
    """
    if weights not in WEIGHTS:
        raise ConfigError(f"Weights are stored as {' or '.join(WEIGHTS)}; got {weights!r}.")
    example = tuple(map(_example, inputs))
    stored = fold_batch_norms(module, *example)
    if weights == "float16":
        stored = round_weights(stored)
    _check_outputs(stored, example, outputs)
    model = _exported(stored, example, inputs, outputs)
    if weights == "float16":
        store_as_float16(model)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    return ExportedGraph(content, module.eval(), stored, tuple(inputs), tuple(outputs))


def _example(spec: TensorSpec) -> Tensor:
    """Return two samples: of one, an exporter may take the batch for a constant."""
    shape = tuple(2 if isinstance(size, str) else size for size in spec.shape)
    largest = 255 if spec.dtype == "uint8" else 1
    values = np.random.default_rng(0).random(shape) * largest
    return torch.from_numpy(values.astype(spec.dtype))


def _check_outputs(
    module: nn.Module, example: tuple[Tensor, ...], outputs: Sequence[TensorSpec]
) -> None:
    with torch.no_grad():
        found = module(*example)
    for tensor, spec in zip([found] if isinstance(found, Tensor) else found, outputs, strict=True):
        if not spec.accepts(tensor.numpy(), {}):
            raise ConfigError(
                f"The network's {spec.name} should be {spec}, but are of shape "
                f"{tuple(tensor.shape)}; the checkpoint's geometry does not fit its network."
            )


def _exported(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> onnx.ModelProto:
    names = [spec.name for spec in (*inputs, *outputs)]
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        file = Path(folder) / "graph.onnx"
        # The tracing exporter is the one that writes opset 17; PyTorch says that it is the old one.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            module,
            example,
            file,
            opset_version=OPSET,
            input_names=names[: len(inputs)],
            output_names=names[len(inputs) :],
            dynamic_axes={name: {0: "N"} for name in names},
            dynamo=False,
        )
        model = onnx.load(file)
    _declare(model.graph.output, {spec.name: spec for spec in outputs})
    return model


def _declare(values: Sequence[onnx.ValueInfoProto], specs: Mapping[str, TensorSpec]) -> None:
    """Declare the shapes that tracing could not infer."""
    for value in values:
        kind = value.type.tensor_type.elem_type
        declared = onnx.helper.make_tensor_type_proto(kind, specs[value.name].shape)
        value.type.CopyFrom(declared)
