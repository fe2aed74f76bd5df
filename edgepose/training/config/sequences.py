"""Stage 2, networks over consecutive frames: its windows and its slices, as tables of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgepose.training.config.checks import require_at_least, require_one_of
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True)
class SequenceSettings:
    """Stage 2: windows of consecutive frames (PPN, section "Training"; DKD, Algorithm 1).

    Attributes:
        length: T, frames per window.
        realign: resample the previous heat-maps into the next frame's crop, as the tracker does;
            DKD's kernels need none.
        corrupt: share of windows whose first frame is handed spoiled heat-maps (moved, swapped,
            dropped or another person's), so that the network learns to recover.
        preliminary: weight of a loss on the maps of the body network, or DKD's encoder, alone,
            which the papers do not have.
        head: train the head in the same run, as published. Without it the first frame of a PPN
            gets maps such as a head might give, and the encoder of a DKD starts itself.
        keep_norms: leave the statistics of the body's batch norms as they were trained: the frames
            of a few windows are too alike to estimate them.
    """

    length: int = 5
    realign: bool = True
    corrupt: float = 0.0
    preliminary: float = 0.0
    head: bool = True
    keep_norms: bool = False

    def __post_init__(self) -> None:
        require_at_least(0, self, "preliminary")
        if self.length < 1 or not 0 <= self.corrupt <= 1:
            raise ConfigError(
                "A sequence needs a length of at least 1 and 'corrupt' from 0 to 1; "
                f"got {self.length} and {self.corrupt}."
            )


@dataclass(frozen=True)
class SliceSettings:
    """Stage 2 of Thin-Slicing: slices of consecutive frames, end to end.

    Attributes:
        length: frames per slice.
        reach: frames that exchange messages are at most so far apart.
        rounds: of messages.
        springs: a file of springs to start from (.json), or a bundle that has some; their reach and
            rounds are taken. Empty for soft ones without direction.
        loss: ``hinge`` as published, or ``choice``; see `edgepose.training.springs.losses`.
        before_sigmoid: where heat-maps end in a sigmoid, exchange messages about what is before
            it; see `SliceNetwork`.
        flow: ``dis``, ``farneback`` or ``none``.
    """

    length: int = 5
    reach: int = 1
    rounds: int = 3
    springs: str = ""
    loss: Literal["choice", "hinge"] = "hinge"
    before_sigmoid: bool = True
    flow: str = "dis"

    def __post_init__(self) -> None:
        require_at_least(1, self, "length", "rounds")
        require_at_least(0, self, "reach")
        require_one_of("flow", self.flow, ("dis", "farneback", "none"))
