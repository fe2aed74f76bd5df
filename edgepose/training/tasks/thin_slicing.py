"""Stage 2 of Thin-Slicing: network and springs learn together, on slices of clips."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgepose.models.thin_slicing.network import SliceNetwork
from edgepose.models.thin_slicing.transforms import dense_transform, envelope_transform
from edgepose.refinement.thin_slicing import FLOW_SIZE
from edgepose.training.config.settings import TrainConfig
from edgepose.training.springs.learning import slice_loss
from edgepose.training.tasks.adversary import Adversary
from edgepose.training.tasks.freezing import freeze, keep_norms
from edgepose.training.tasks.losses import reduced
from edgepose.training.tasks.networks import network_input
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.thin_slicing.optical_flow import OpticalFlow, optical_flow


class SliceTask:
    """Slices of T frames, scored in all of them after the last round of messages.

    Args:
        config: a recipe with ``slices``.
        module: its network.
    """

    adversary: Adversary | None = None

    def __init__(self, config: TrainConfig, module: SliceNetwork) -> None:
        if config.slices is None:
            raise ConfigError(f"The recipe {config.name!r} has no 'slices'.")
        self._config, self._slices, self._network = config, config.slices, module
        self._frozen = freeze(module, config.frozen)
        if not config.optimiser.body_factor:
            self._frozen += freeze(module, ["unary"])
        self._flow = optical_flow(config.slices.flow)
        self.module: nn.Module = module
        self.length: int | None = config.slices.length

    def loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of the scores."""
        keep_norms([*self._frozen, self._network.unary])
        self._network.messages.clamp()  # after the last step, that is
        frames, targets = batch["image"], self._config.targets
        fast = frames.device.type == "cpu"
        self._network.messages.transform = envelope_transform if fast else dense_transform
        cells = frames.shape[-2] // targets.stride
        reach = self._network.messages.graph.reach
        grids = slice_grids(frames.cpu().numpy(), self._flow, cells, reach)
        scores = self._network.scores(network_input(frames), grids.to(frames.device))
        joints = batch["keypoints"].clone()
        joints[..., :2] = (joints[..., :2] - targets.offset) / targets.stride
        outside = ((joints[..., :2] < 0) | (joints[..., :2] > cells - 1)).any(-1)
        joints[..., 2] = joints[..., 2].masked_fill(outside, 0)
        loss = slice_loss(scores, joints, self._slices.loss)
        return {"loss": reduced(loss, scores, self._config.reduction)}


def slice_grids(frames: NDArray[np.uint8], flow: OpticalFlow, cells: int, reach: int) -> Tensor:
    """Return where each cell comes from in the neighbouring frames of slices.

    The crops show the same region moved with the person, as a tracker's do; flow between them
    holds that movement as well, so no region needs to be known.

    Args:
        frames: uint8 (B, T, S, S, 3) BGR.
        flow: compares crops.
        cells: along a side of the heat-maps.
        reach: how far apart frames are compared.

    Returns:
        float32 (B, T, 2 * reach, cells, cells, 2).
    """
    batch, length = frames.shape[:2]
    offsets = [*range(-reach, 0), *range(1, reach + 1)]
    grids = np.full((batch, length, len(offsets), cells, cells, 2), np.nan, np.float32)
    here = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1)
    for b in range(batch):
        greys = [_grey(frame) for frame in frames[b]]
        for t in range(length):
            for d, offset in enumerate(offsets):
                if 0 <= t + offset < length:
                    moved = cv2.resize(flow(greys[t], greys[t + offset]), (cells, cells))
                    grids[b, t, d] = here + moved * (cells / FLOW_SIZE)
    return torch.from_numpy(grids)


def _grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = cv2.resize(frame, (FLOW_SIZE, FLOW_SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
