"""How to talk to an inference server, and how patient to be with it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from edgepose_runtime.checks import is_finite_number, require_whole
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Credentials, deadlines and recovery; times in seconds.

    Attributes:
        model: name of the model on the server; ``None`` for the one with the bundle's hash.
        token: sent as ``authorization: Bearer``, only over TLS or within this machine; it is in no
            log, error or ``repr``.
        root_certificates: PEM file that the server's certificate must go back to; ``None`` for
            those that gRPC brings along.
        deadline_s: from a request to its answer, all attempts included.
        retries: further attempts where nothing answered or the server had no room.
        first_delay_s: the wait before the second attempt, of which a random part of up to one half
            is taken off; it doubles with each further one.
        longest_delay_s: the longest such wait.
        failures: after how many failed requests in a row the server is left to rest.
        first_rest_s: for how long, before one request is let through to see whether it is back;
            it doubles with each that fails.
        longest_rest_s: the longest such rest.
        verify_every_s: how often to look whether it still serves the same model, which is done
            after each failure, too: a server may be started again with another one unnoticed.
        in_flight: requests that may be under way at once.
        largest_answer: size in bytes above which an answer is refused.

    Raises:
        ConfigError: a number is outside of its range.
    """

    model: str | None = None
    token: str | None = field(default=None, repr=False)
    root_certificates: Path | None = None
    deadline_s: float = 1.0
    retries: int = 2
    first_delay_s: float = 0.05
    longest_delay_s: float = 1.0
    failures: int = 3
    first_rest_s: float = 0.5
    longest_rest_s: float = 30.0
    verify_every_s: float = 5.0
    in_flight: int = 4
    largest_answer: int = 32 * 2**20

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self) if each.name.endswith("_s")):
            value = getattr(self, name)
            if not (is_finite_number(value) and value >= 0):
                raise ConfigError(
                    f"{name} must be a finite number of seconds, 0 or above; got {value!r}."
                )
        require_whole(self, ("retries",), 0)
        require_whole(self, ("failures", "in_flight", "largest_answer"), 1)
        for name, kinds in (("model", str), ("token", str), ("root_certificates", (str, Path))):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kinds):
                raise ConfigError(f"{name} must be text or None, not a {type(value).__name__}.")
        if self.deadline_s == 0:
            raise ConfigError("deadline_s must be above 0: no server answers in no time.")


@dataclass(frozen=True, slots=True)
class BackoffSettings:
    """Growing waits, as :class:`~edgepose_runtime.backoff.Backoff` takes them."""

    first_delay_s: float
    longest_delay_s: float
    attempts: int | None = None
