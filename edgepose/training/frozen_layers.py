"""First layers of a backbone that do not learn, computed by the runtime in place of PyTorch.

Their maps are the largest of the network. OpenVINO computes them several times as fast, since it
fuses activations and keeps no maps for gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgepose.models.backbones.mobilenet import LEVEL_LAYERS, MobileNetV2
from edgepose.models.pose.batch_norm_folding import fold_batch_norms


def compile_frozen_layers(backbone: MobileNetV2, layers: int, size: int) -> None:
    """Let OpenVINO compute the first layers of a backbone; they must not learn any more.

    Args:
        backbone: changed in place.
        layers: how many, the last of them one whose features a pyramid takes.
        size: side of the images in pixels.
    """
    first: Any = backbone.features[:layers]
    backbone.front = _CompiledLayers(_Levels(first), size)
    backbone.front_layers = layers


class _Levels(nn.Module):
    """The levels that some first layers give."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = []
        for index, layer in enumerate(self.layers):
            image = layer(image)
            if index in LEVEL_LAYERS:
                found.append(image)
        return tuple(found)


class _CompiledLayers:
    """Calls the compiled layers."""

    def __init__(self, network: nn.Module, size: int) -> None:
        import openvino

        example = torch.rand(2, 3, size, size)
        folded = fold_batch_norms(network, example)
        model = openvino.convert_model(folded, example_input=example)
        options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        self._compiled: Any = openvino.compile_model(model, "CPU", options)

    def __call__(self, image: Tensor) -> Sequence[Tensor]:
        found = self._compiled(np.ascontiguousarray(image.detach().float().numpy()))
        return [
            torch.from_numpy(values).contiguous(memory_format=torch.channels_last)
            for values in found.to_tuple()
        ]
