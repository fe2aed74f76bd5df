"""What one input ended with."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

from edgepose_runtime.errors import EdgePoseError

#: How inputs may end, that one was begun, and how none may end.
DONE, REFUSED = "done", "refused"
BEGUN = "begun"
UNTYPED, CRASHED, HUNG = "untyped", "crashed", "hung"
TOO_LARGE, LEAKED = "too much memory", "leaked"


@dataclass(frozen=True, slots=True)
class Input:
    """One hostile input.

    Attributes:
        name: what is done, to be repeated by hand.
        run: does it, in a folder of its own: outputs have names such as ``nan``.
    """

    name: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an input ended.

    Attributes:
        end: ``"done"``; ``"refused"`` with an error of ours; or ``"untyped"``.
        detail: the error, with the place for those that are not ours.
    """

    end: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How one input ended in its process.

    Attributes:
        kind: of the input.
        seed: of the input.
        end: see :class:`Outcome`; or what became of the process.
        name: what was done.
        detail: the error, or what was too much.
    """

    kind: str
    seed: int
    end: str
    name: str = ""
    detail: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether no input may end so."""
        return self.end not in (DONE, REFUSED)

    def as_dict(self) -> dict[str, str | int]:
        """Return all of it."""
        return asdict(self)


class UntypedError(Exception):
    """Something ended otherwise than it may, without raising."""


def attempt(given: Input) -> Outcome:
    """Run an input and say how it ended."""
    try:
        given.run()
    except EdgePoseError as error:
        return Outcome(REFUSED, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(UNTYPED, f"{error!r} in {place.filename}:{place.lineno}")
    return Outcome(DONE)
