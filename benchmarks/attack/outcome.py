"""What one input ended with."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from edgepose_runtime.errors import EdgePoseError

DONE, REFUSED, UNTYPED = "done", "refused", "untyped"


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
