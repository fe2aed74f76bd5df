"""The forms of the propagation unit that are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models import PPU, build_ppu

JOINTS, SIZE = 13, 64


@dataclass(frozen=True)
class Candidate:
    """One form.

    Attributes:
        name: of its row and of its checkpoint.
        options: of `edgepose.models.PPUConfig`.
        half: propagate at half the size of the heat-maps, 32x32, and enlarge the result.
        steps: of training.
        batch: windows per step.
        length: frames of a window.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    half: bool = False
    steps: int = 300
    batch: int = 6
    length: int = 3

    @property
    def file(self) -> str:
        """The name of its checkpoint."""
        return self.name.replace(", ", "-").replace(" ", "-") + ".pt"

    def build(self) -> nn.Module:
        """Return the unit with random weights."""
        unit: nn.Module = build_ppu(self.options, JOINTS, SIZE // 2 if self.half else SIZE)
        if isinstance(unit, PPU):
            unit = Gated(unit)
        return HalfSize(unit) if self.half else unit


class Gated(nn.Module):
    """A deformable unit with the gate that units of flows have.

    What the published sum of both maps needs is a body that was trained along. With a body that is
    good on its own the gate is what makes forms comparable.
    """

    def __init__(self, unit: PPU) -> None:
        super().__init__()
        self.unit = unit
        self.gate = nn.Conv2d(unit.offsets[0].in_channels, JOINTS, 3, padding=1)  # type: ignore[arg-type]
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -1.0)  # type: ignore[arg-type]  # a bias is there

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return what is to be added to the preliminary maps, ``(B, K, h, w)``."""
        features = self.unit.features(preliminary - previous)
        trust = torch.sigmoid(self.gate(features))
        return trust * (self.unit.warp(features, previous) - preliminary)


class HalfSize(nn.Module):
    """Propagates heat-maps of half the size, and enlarges what comes out bilinearly."""

    def __init__(self, unit: nn.Module) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return what is to be added to the preliminary maps, ``(B, K, h, w)``."""
        small = (functional.avg_pool2d(maps, 2) for maps in (preliminary, previous))
        return functional.interpolate(self.unit(*small), scale_factor=2.0, mode="bilinear")


def _flow(channels: int, blocks: int, *dilations: int, **options: Any) -> dict[str, Any]:
    shape = {"ppu_channels": channels, "ppu_blocks": blocks, "dilations": dilations}
    return {"form": "flow", "grid_stride": 4, "gate": True, **shape, **options}


def _deformable(name: str, half: bool = False, **options: Any) -> Candidate:
    # A step takes up to fifteen times as long as that of a flow.
    return Candidate(name, options, half, steps=100, batch=2, length=2)


CANDIDATES = (
    _deformable("published"),
    _deformable("published, shared offsets", deform_groups=1),
    _deformable("published, dilations 3 and 12", dilations=(3, 12)),
    _deformable("published, 32x32", half=True),
    Candidate("flow, 3 dilations, 24x4", _flow(24, 4, 1, 3, 6)),
    Candidate("flow, 24x4", _flow(24, 4, 1)),
    Candidate("flow, 24x2", _flow(24, 2, 1)),
    Candidate("flow, 16x2, 8x8 grid", _flow(16, 2, 1, grid_stride=8)),
    Candidate("flow, 24x2, no gate", _flow(24, 2, 1, gate=False)),
    Candidate("shared flow, 3 dilations, 24x2", _flow(24, 2, 1, 3, 6, deform_groups=1)),
    Candidate("shared flow, 24x2", _flow(24, 2, 1, deform_groups=1)),
    Candidate("shared flow, 16x2", _flow(16, 2, 1, deform_groups=1)),
    Candidate("shared flow, 16x1", _flow(16, 1, 1, deform_groups=1)),
    Candidate("shared flow, 16x2, 8x8 grid", _flow(16, 2, 1, grid_stride=8, deform_groups=1)),
)
