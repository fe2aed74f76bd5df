"""Recipes of dictionaries of dynamics."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True)
class DynamicsConfig:
    """A recipe.

    Attributes:
        name: of the recipe.
        kind: ``"interpolation"`` learns poles and weights for interpolation (ours);
            ``"reconstruction"`` learns poles that express sequences sparsely, as DYAN does.
        data: joint sequences of ``"penn"`` or ``"jhmdb"``, in the folder of that name.
        poles: in the first quadrant; the dictionary has 1 + 4 times as many atoms.
        kinds: kinds of movement, for interpolation.
        length: frames of a window.
        stride: frames from one window to the next, for interpolation.
        steps: updates of the poles.
        batch: windows per step.
        learning_rate: of Adam. For interpolation it belongs to the weights, and poles learn at a
            `pole_factor` of it; it falls to zero as a cosine.
        pole_factor: see there.
        milestones: parts of a training for reconstruction after which the rate is a tenth.
        hits: for interpolation, what a miss at 5 % of the box costs, in mean errors.
        sparsity: λ of the encoder, for reconstruction.
        seed: of everything that is drawn.
    """

    name: str
    kind: Literal["interpolation", "reconstruction"]
    data: Literal["penn", "jhmdb"]
    steps: int
    batch: int
    learning_rate: float
    poles: int = 40
    kinds: int = 4
    length: int = 40
    stride: int = 10
    pole_factor: float = 0.01
    milestones: tuple[float, ...] = ()
    hits: float = 1.0
    sparsity: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "poles", "kinds", "length", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"The option {name!r} must be at least 1; got {self}.")
        for name in ("pole_factor", "hits", "sparsity", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"The option {name!r} must be at least 0; got {self}.")
        if not self.learning_rate > 0 or not all(0 < share < 1 for share in self.milestones):
            raise ConfigError(
                "A recipe needs a learning rate above 0, and milestones between 0 and 1; "
                f"got {self.learning_rate} and {self.milestones}."
            )

    @property
    def total_steps(self) -> int:
        """The steps of the recipe."""
        return self.steps

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a checkpoint."""
        return dataclasses.asdict(self)
