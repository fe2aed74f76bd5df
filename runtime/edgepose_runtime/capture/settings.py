"""How patient a live source is, and how it comes back after a loss."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edgepose_runtime.checks import is_finite_number, is_whole_number
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """Deadlines and reconnection of a live source; times in seconds.

    Attributes:
        open_timeout_s: how long opening may take.
        read_timeout_s: how long the next frame may take before the source counts as lost.
        close_timeout_s: how long ``close()`` waits for a read that does not return.
        first_delay_s: the wait before the first attempt to open a lost source again. Each attempt
            that fails doubles it, and a random part of up to one half is taken off, so that many
            programs do not come back to one server in step.
        longest_delay_s: the longest such wait.
        attempts: after how many attempts in a row to give up; ``None``: never.
        retry_first: whether also the first opening is repeated, instead of raising at once.

    Raises:
        ConfigError: a time is not a finite number, 0 or above, or ``attempts`` is below 0.
    """

    open_timeout_s: float = 10.0
    read_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    attempts: int | None = None
    retry_first: bool = False

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name.endswith("_s")):
            value = getattr(self, name)
            if not (is_finite_number(value) and value >= 0):
                raise ConfigError(
                    f"{name} must be a finite number of seconds, 0 or above; got {value}."
                )
        if self.attempts is not None and not (
            is_whole_number(self.attempts) and self.attempts >= 0
        ):
            raise ConfigError(
                f"attempts must be a whole number, 0 or above, or None; got {self.attempts!r}."
            )
