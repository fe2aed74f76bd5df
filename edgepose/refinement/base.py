"""What improves poses once later frames are known, and so gives them out late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgepose.inference.estimator import Image, Look
from edgepose.inference.model import PoseModel
from edgepose.results import PoseResult
from edgepose_runtime.poses.smoothing import OneEuroSettings


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame with what is known of it so far.

    Attributes:
        image: uint8 BGR (H, W, 3).
        result: its pose as of now.
        look: what the networks made of it; ``None`` where none looked, or nobody was found.
    """

    image: Image
    result: PoseResult
    look: Look | None


class Refiner(Protocol):
    """Holds frames back for a while, and improves them. One per stream, for one thread at a time.

    Attributes:
        lag_frames: how many frames it holds back at most.
    """

    lag_frames: int

    def warmup(self) -> None:
        """Use every kernel once, without touching the frames that are held back."""

    def take(self, seen: Seen) -> list[PoseResult]:
        """Take in the next frame.

        Returns:
            The results that are final now, in the order of their frames; each frame that was taken
            in comes out exactly once.
        """

    def flush(self) -> list[PoseResult]:
        """Return the results of all frames that are held back: none will follow."""

    def reset(self) -> None:
        """Forget the frames that are held back."""


class Refinement(Protocol):
    """Settings that a tracker makes refiners of.

    Attributes:
        lag_frames: see :class:`Refiner`.
    """

    @property
    def lag_frames(self) -> int:
        """How many frames are held back at most."""

    def new_refiner(self, model: PoseModel, smoothing: OneEuroSettings | None) -> Refiner:
        """Return a refiner for one stream of a model, with the smoothing of its tracker."""
