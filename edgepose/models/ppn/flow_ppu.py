"""The pose propagation unit for edge devices: one flow per joint and dilation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models.backbones.blocks import BasicBlock, enlargement, initialise_convolutions, unit
from edgepose_runtime.errors import ConfigError


class FlowPPU(nn.Module):
    """Carry the previous heat-maps to this frame with a few bilinear samples per cell.

    The reference PPU (PPN, section "PPU", Eq. 5) samples nine taps of all K maps per output map
    and dilation. Here each joint's map is sampled once per dilation, where a learnt flow points,
    and the samples are added with a weight per joint and dilation. The flows are predicted on a
    coarser grid and enlarged bilinearly. Joints may share them: their maps are empty but for
    their own places, so that one flow field can say how each of them moves. At initialisation
    the flows are zero and the weights share out one, so that the previous heat-maps come out
    unchanged.

    With ``gate``, the unit returns ``g * (warped - preliminary)``, so that PPN's skip connection
    makes a weighted mean of what the body sees and what is remembered, ``g`` learnt per joint and
    cell. Sums of the two would have to be unlearnt by a body that is good on its own.

    Args:
        joints: K.
        channels: width of the features that the flows are predicted from.
        blocks: how many residual blocks compute them.
        dilations: of the 3x3 convolutions that predict one flow each, on the coarse grid.
        grid_stride: heat-map cells per cell of the coarse grid; divides ``size``.
        size: height and width of the heat-maps in cells.
        gate: learn how far to trust the previous heat-maps.
        flow_groups: groups of joints that share flows, a divisor of K; None for one per joint.

    Raises:
        ConfigError: no dilation, groups that do not divide the joints, or a coarse grid that does
            not fit the heat-maps.
    """

    enlarge_rows: Tensor
    enlarge_columns: Tensor
    enlarge_gate: Tensor
    identity_grid: Tensor

    def __init__(
        self,
        joints: int,
        channels: int = 24,
        blocks: int = 4,
        dilations: Sequence[int] = (3, 6, 12, 18, 24),
        grid_stride: int = 2,
        size: int = 64,
        gate: bool = False,
        flow_groups: int | None = None,
    ) -> None:
        super().__init__()
        self.groups = flow_groups or joints
        _validate(joints, self.groups, dilations, grid_stride, size)
        self.joints = joints
        self.size = size
        self.grid_size = size // grid_stride
        # The kernel grows with the stride so that no cell goes unseen.
        kernel = max(3, 2 * (grid_stride // 2) + 1)
        self.stem = unit(2 * joints, channels, kernel, grid_stride)
        self.features = nn.Sequential(*(BasicBlock(channels, channels) for _ in range(blocks)))
        initialise_convolutions(self)
        self.offsets = nn.ModuleList(_offsets(channels, self.groups, d) for d in dilations)
        shape = (1, joints, len(dilations), 1, 1)
        self.weights = nn.Parameter(torch.full(shape, 1 / len(dilations)))
        self.gate = _gate(channels, joints) if gate else None
        self._register_geometry()

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return the previous heat-maps as they look in this frame.

        Args:
            preliminary: this frame's heat-maps by the body network, ``(B, K, size, size)``.
            previous: the previous frame's final heat-maps, of the same shape.
        """
        features = self.features(self.stem(torch.cat((preliminary, previous), 1)))
        flows = torch.cat([layer(features) for layer in self.offsets], 1)
        warped = self._sample(previous, self._sampling_grid(flows))
        if self.gate is None:
            return warped
        return self._enlarged_gate(features) * (warped - preliminary)

    def _enlarged_gate(self, features: Tensor) -> Tensor:
        """Return how far to trust the previous maps, ``(B, K, size, size)`` in (0, 1)."""
        gates = torch.sigmoid(self.gate(features))  # type: ignore[misc]
        return torch.matmul(self.enlarge_gate, torch.matmul(gates, self.enlarge_gate.T))

    def _sampling_grid(self, flows: Tensor) -> Tensor:
        """Return where to sample, ``(B * G, D * size, size, 2)``, the map's edges at -1 and 1.

        Args:
            flows: ``(B, D * G * 2, grid_size, grid_size)``, pairs (x, y) in heat-map cells.
        """
        count, side = len(self.offsets), self.grid_size
        # The pairs become neighbours while the grid is small: moving them at full size, and
        # Resize, take OpenVINO three times as long as these two products.
        pairs = flows.reshape(-1, count, self.groups, 2, side, side).permute(0, 2, 1, 4, 5, 3)
        rows = pairs.reshape(-1, self.groups * count, side, 2 * side)
        rows = torch.matmul(self.enlarge_rows, torch.matmul(rows, self.enlarge_columns))
        return (rows + self.identity_grid).reshape(-1, count * self.size, self.size, 2)

    def _sample(self, previous: Tensor, grid: Tensor) -> Tensor:
        size, count = self.size, len(self.offsets)
        maps = previous
        if self.groups > 1:  # else the shape is right, and runtimes lose the input's name over it
            maps = previous.reshape(-1, self.joints // self.groups, size, size)
        # All flows of a group are sampled in one call, their results below each other.
        samples = functional.grid_sample(maps, grid, "bilinear", "zeros", align_corners=False)
        if count == 1:  # without the sum, which takes a runtime half as long as the sampling
            return samples.reshape(-1, self.joints, size, size) * self.weights[:, :, 0]
        samples = samples.reshape(-1, self.joints, count, size, size)
        return (samples * self.weights).sum(2)

    def _register_geometry(self) -> None:
        """Keep what follows from the sizes: constants of a graph, not worth storing in a file."""
        enlarge = enlargement(self.grid_size, self.size)
        pairs = torch.kron(enlarge.T.contiguous(), torch.eye(2))
        constants = {
            # Flows are in cells; the sampler wants a map to be 2 wide.
            "enlarge_rows": enlarge * (2 / self.size),
            "enlarge_columns": pairs,
            "enlarge_gate": enlarge,
            "identity_grid": _identity_grid(self.size),
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)


def _offsets(channels: int, groups: int, dilation: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, 2 * groups, 3, padding=dilation, dilation=dilation, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def _gate(channels: int, joints: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, joints, 3, padding=1)
    nn.init.zeros_(layer.weight)
    # Start close to the body's own maps: sigmoid(-1) is about a quarter.
    nn.init.constant_(layer.bias, -1.0)  # type: ignore[arg-type]  # a bias is there by default
    return layer


def _identity_grid(size: int) -> Tensor:
    """Return ``(size, 2 * size)``: rows of the cells' (x, y), the map's edges at -1 and 1."""
    centres = (2 * torch.arange(size, dtype=torch.float32) + 1) / size - 1
    pairs = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)
    return pairs.reshape(size, 2 * size)


def _validate(
    joints: int, groups: int, dilations: Sequence[int], grid_stride: int, size: int
) -> None:
    if not dilations:
        raise ConfigError("A FlowPPU needs at least one dilation; none was given.")
    if joints % groups:
        raise ConfigError(f"{groups} groups of flows do not divide {joints} joints.")
    if grid_stride < 1 or size % grid_stride:
        raise ConfigError(
            f"A grid stride of {grid_stride} does not divide heat-maps of {size} cells; "
            "choose a divisor."
        )
