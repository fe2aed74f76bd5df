"""How weights are updated, as a table of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from edgepose.training.config.checks import require_at_least, require_one_of
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True)
class OptimiserSettings:
    """How weights are updated.

    Attributes:
        name: ``adam``, ``adamw``, ``rmsprop`` or ``sgd``.
        learning_rate: its peak.
        backbone_factor: multiplies it for backbones, whose weights come from ImageNet.
        body_factor: multiplies it for the body of a PPN, the encoder of a DKD or the unary network
            of slices, which was trained before. 0 leaves a body as it is, which takes a third of
            the time.
        weight_decay: not applied to biases and norms.
        schedule: ``cosine`` or ``linear`` to zero, ``constant``, or ``step``: times
            `step_factor` at each of `milestones`.
        milestones: shares of all steps, in (0, 1).
        step_factor: above 0 and below 1; Thin-Slicing has a third.
        momentum: of ``sgd``, from 0 to below 1.
        warmup: steps of linear increase at the start.
        clip: largest norm of the gradient; 0 for no limit.
        ema: decay of the running average of the weights; 0 for none.
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    backbone_factor: float = 1.0
    body_factor: float = 1.0
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    milestones: tuple[float, ...] = ()
    step_factor: float = 0.1
    momentum: float = 0.9
    warmup: int = 0
    clip: float = 1.0
    ema: float = 0.999

    def __post_init__(self) -> None:
        require_one_of("optimiser", self.name, ("adam", "adamw", "rmsprop", "sgd"))
        require_one_of("schedule", self.schedule, ("cosine", "linear", "constant", "step"))
        if not self.learning_rate > 0:
            raise ConfigError(f"The learning rate must be above 0; got {self.learning_rate}.")
        require_at_least(
            0, self, "backbone_factor", "body_factor", "weight_decay", "warmup", "clip"
        )
        if not all(0 < share < 1 for share in self.milestones):
            raise ConfigError(f"All 'milestones' must lie between 0 and 1; got {self.milestones}.")
        if not 0 < self.step_factor < 1 or not 0 <= self.momentum < 1:
            raise ConfigError(
                "'step_factor' must lie between 0 and 1 and 'momentum' be at least 0 and below 1; "
                f"got {self.step_factor} and {self.momentum}."
            )
        if not 0 <= self.ema < 1:
            raise ConfigError(f"The decay 'ema' must be at least 0 and below 1; got {self.ema}.")
