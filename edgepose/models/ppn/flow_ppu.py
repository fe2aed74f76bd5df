"""The pose propagation unit for edge devices: one flow for all joints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models.backbones.blocks import BasicBlock, enlargement, initialise_convolutions, unit
from edgepose_runtime.errors import ConfigError


class FlowPPU(nn.Module):
    """Warp the previous heat-maps to this frame with one bilinear sample per cell.

    The reference PPU (PPN, section "PPU", Eq. 5) samples nine taps of all K maps per output map
    and dilation. Here each map is sampled once, where a learnt flow points, and weighted per
    joint. The joints share the flow: their maps are empty but for their own places, so that one
    field can say how each of them moves. It is predicted on a coarser grid and enlarged
    bilinearly. At initialisation it is zero and the weights are one, so that the previous
    heat-maps come out unchanged.

    The unit returns ``g * (warped - preliminary)``, so that PPN's skip connection makes a weighted
    mean of what the body sees and what is remembered, ``g`` learnt per joint and cell. Sums of the
    two would have to be unlearnt by a body that is good on its own.

    Args:
        joints: K.
        channels: width of the features that the flow is predicted from.
        blocks: how many residual blocks compute them.
        grid_stride: heat-map cells per cell of the coarse grid; divides ``size``.
        size: height and width of the heat-maps in cells.

    Raises:
        ConfigError: a coarse grid that does not fit the heat-maps.
    """

    enlarge_rows: Tensor
    enlarge_columns: Tensor
    enlarge_gate: Tensor
    identity_grid: Tensor

    def __init__(
        self,
        joints: int,
        channels: int = 16,
        blocks: int = 2,
        grid_stride: int = 4,
        size: int = 48,
    ) -> None:
        super().__init__()
        if grid_stride < 1 or size % grid_stride:
            raise ConfigError(
                f"A grid stride of {grid_stride} does not divide heat-maps of {size} cells; "
                "choose a divisor."
            )
        self.size = size
        self.grid_size = size // grid_stride
        # The kernel grows with the stride so that no cell goes unseen.
        kernel = max(3, 2 * (grid_stride // 2) + 1)
        self.stem = unit(2 * joints, channels, kernel, grid_stride)
        self.features = nn.Sequential(*(BasicBlock(channels, channels) for _ in range(blocks)))
        initialise_convolutions(self)
        # Both have the names and shapes that checkpoints of several flows per joint had, too.
        self.offsets = nn.Sequential(_offsets(channels))
        self.weights = nn.Parameter(torch.ones(1, joints, 1, 1, 1))
        self.gate = _gate(channels, joints)
        self._register_geometry()

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return what the skip connection adds to this frame's heat-maps.

        Args:
            preliminary: this frame's heat-maps by the body network, ``(B, K, size, size)``.
            previous: the previous frame's final heat-maps, of the same shape.
        """
        features = self.features(self.stem(torch.cat((preliminary, previous), 1)))
        grid = self._sampling_grid(self.offsets(features))
        warped = functional.grid_sample(previous, grid, "bilinear", "zeros", align_corners=False)
        return self._enlarged_gate(features) * (warped * self.weights[:, :, 0] - preliminary)

    def _enlarged_gate(self, features: Tensor) -> Tensor:
        """Return how far to trust the previous maps, ``(B, K, size, size)`` in (0, 1)."""
        gates = torch.sigmoid(self.gate(features))
        return torch.matmul(self.enlarge_gate, torch.matmul(gates, self.enlarge_gate.T))

    def _sampling_grid(self, flow: Tensor) -> Tensor:
        """Return where to sample, ``(B, size, size, 2)``, the map's edges at -1 and 1.

        Args:
            flow: ``(B, 2, grid_size, grid_size)``, pairs (x, y) in heat-map cells.
        """
        side = self.grid_size
        # The pairs become neighbours while the grid is small: moving them at full size, and
        # Resize, take OpenVINO three times as long as these two products.
        rows = flow.permute(0, 2, 3, 1).reshape(-1, side, 2 * side)
        rows = torch.matmul(self.enlarge_rows, torch.matmul(rows, self.enlarge_columns))
        return (rows + self.identity_grid).reshape(-1, self.size, self.size, 2)

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


def _offsets(channels: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, 2, 3, padding=1, bias=False)
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
