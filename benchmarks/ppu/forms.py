"""Propagation units as runtimes run them, each as a call from two sets of heat-maps to one."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.onnx import symbolic_helper
from torch.onnx.utils import register_custom_op_symbolic

from benchmarks.ppu.candidates import JOINTS, SIZE, Gated
from edgepose.models import PPU, deform_conv2d
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.deforming import deform_heatmaps

Maps = NDArray[np.float32]
Call = Callable[[Maps, Maps], Maps]
_SETTINGS = BackendSettings(precision="float32", num_threads=1, batch=1)


def compile_unit(unit: nn.Module) -> dict[str, Call]:
    """Return a trained unit with PPN's skip connection, by the name of what runs it.

    ``openvino`` and ``onnxruntime`` run standard operators. For deformable units that is
    GridSample in OpenVINO, whose own DeformConv is slower, and DeformConv in ONNX Runtime;
    ``numba`` computes their offsets in OpenVINO, one dilation at a time, and the rest in
    :func:`edgepose_runtime.deforming.deform_heatmaps`.
    """
    calls = {
        "openvino": _run(unit, "openvino"),
        "onnxruntime": _run(_as_operators(unit), "onnxruntime"),
    }
    if isinstance(unit, Gated):
        calls["numba"] = Fused(unit)
    return calls


class Fused:
    """A deformable unit without its tensor of offsets: 19 MB for five dilations."""

    def __init__(self, gated: Gated) -> None:
        unit = gated.unit
        width = gated.gate.in_channels
        self._features = _load(unit.features, "openvino", JOINTS)
        self._gate = _load(nn.Sequential(gated.gate, nn.Sigmoid()), "openvino", width)
        self._offsets = [_load(layer, "openvino", width) for layer in unit.offsets]
        self._kernels = [kernel.detach().numpy() for kernel in unit.kernels]
        self._dilations = unit.dilations

    def __call__(self, preliminary: Maps, previous: Maps) -> Maps:
        """Return the heat-maps (1, K, h, w)."""
        features = self._features.infer({"in0": preliminary - previous})["out"]
        warped = np.zeros_like(previous)
        parts = zip(self._offsets, self._kernels, self._dilations, strict=True)
        for layer, kernel, dilation in parts:
            offsets = layer.infer({"in0": features})["out"][0]
            deform_heatmaps(previous[0], offsets, kernel, dilation, warped[0])
        trust: Maps = self._gate.infer({"in0": features})["out"]
        return preliminary + trust * (warped - preliminary)


def export(module: nn.Module, *channels: int, opset: int = 17) -> bytes:
    """Return a module of maps as ONNX; see :func:`export_with`."""
    return export_with(module, *(torch.rand(1, each, SIZE, SIZE) for each in channels), opset=opset)


def export_with(module: nn.Module, *arguments: Tensor, opset: int = 17) -> bytes:
    """Return a module as ONNX for such arguments; from inputs ``in0``, ``in1`` ... to ``out``."""
    names = [f"in{number}" for number in range(len(arguments))]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is the one that knows symbolics
        torch.onnx.export(
            module.eval(),
            arguments,
            file,  # type: ignore[arg-type]  # it takes buffers as well
            opset_version=opset,
            input_names=names,
            output_names=["out"],
            dynamo=False,
        )
    return file.getvalue()


def _run(unit: nn.Module, backend: str) -> Call:
    network = _load(_WithSkip(unit), backend, JOINTS, JOINTS)
    return lambda preliminary, previous: network.infer({"in0": preliminary, "in1": previous})["out"]


def _load(module: nn.Module, backend: str, *channels: int) -> Network:
    operators = any(getattr(part, "convolve", None) is _deform_conv_of for part in module.modules())
    opset = 19 if operators else 17
    content = export(module, *channels, opset=opset)
    return get_backend(backend).load(content, settings=_SETTINGS)


def _as_operators(unit: nn.Module) -> nn.Module:
    """Return a copy whose deformable convolutions are exported as one operator, of opset 19."""
    unit = deepcopy(unit)
    for part in unit.modules():
        if isinstance(part, PPU):
            part.convolve = _deform_conv_of
    return unit


class _WithSkip(nn.Module):
    def __init__(self, unit: nn.Module) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return the final heat-maps."""
        propagated: Tensor = self.unit(preliminary, previous)
        return preliminary + propagated


@torch.library.custom_op("edgepose::deform_conv", mutates_args=())
def _deform_conv(
    maps: Tensor, offsets: Tensor, weight: Tensor, dilation: int, groups: int
) -> Tensor:
    """Compute it as PyTorch does; the export writes one operator."""
    del groups
    return deform_conv2d(maps, offsets, weight, dilation)


def _deform_conv_of(maps: Tensor, offsets: Tensor, weight: Tensor, dilation: int) -> Tensor:
    groups = int(offsets.shape[1]) // (2 * weight[0, 0].numel())
    result: Tensor = _deform_conv(maps, offsets, weight, dilation, groups)
    return result


@symbolic_helper.parse_args("v", "v", "v", "i", "i")
def _write_deform_conv(
    graph: Any, maps: Any, offsets: Any, weight: Any, dilation: int, groups: int
) -> Any:
    return graph.op(
        "DeformConv",
        maps,
        weight,
        offsets,
        dilations_i=[dilation] * 2,
        offset_group_i=groups,
        pads_i=[dilation] * 4,  # of a kernel of 3 x 3
    )


register_custom_op_symbolic("edgepose::deform_conv", _write_deform_conv, 19)
