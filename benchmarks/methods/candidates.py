"""A bundle in one way of using it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

from edgepose.evaluation.protocols.candidates import as_tracker, in_boxes
from edgepose.evaluation.protocols.modes import Mode, in_mode
from edgepose.evaluation.protocols.runner import Candidate
from edgepose.inference.model import PoseModel, load
from edgepose.keyframes import KeyFrames
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.tracker import PoseTracker
from edgepose_runtime.errors import ConfigError

#: The light network alone and the method in annotated boxes, and the tracker in three ways.
WAYS = ("body", "method", "tracker", "unsmoothed", "refined", "key-frames")


class Entry(NamedTuple):
    """A candidate, and what makes its tracker if there is one."""

    candidate: Candidate
    new_tracker: Callable[..., PoseTracker] | None


def open_entry(name: str, opened: ExitStack) -> Entry:
    """Open ``BUNDLE:WAY``.

    Raises:
        ConfigError: there is no such way.
    """
    bundle, _, way = name.partition(":")
    if way not in WAYS:
        raise ConfigError(f"A candidate is BUNDLE:WAY with a way of {', '.join(WAYS)}; got {name}.")
    model = opened.enter_context(load(bundle, num_threads=1))
    options: dict[str, Any] = {
        "tracker": {},
        "unsmoothed": {"smoothing": False},
        "refined": {"refine": ThinSlicing()},
        "key-frames": {"key_frames": KeyFrames()},
    }
    tracker = partial(PoseTracker, model, **options[way]) if way in options else None
    return Entry(_candidate(model, way), tracker)


def _candidate(model: PoseModel, way: str) -> Candidate:
    if way in ("body", "method"):
        (candidate,) = in_boxes(model, ("body" if way == "body" else None,))
        return candidate
    modes: dict[str, Mode] = {"refined": ThinSlicing(), "key-frames": KeyFrames()}
    if way in modes:
        return in_mode(model, modes[way])
    return as_tracker(model, smoothing=way == "tracker")
