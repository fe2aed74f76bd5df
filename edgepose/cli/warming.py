"""Everything that first starts compile or write, done ahead: for images and services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgepose.inference.model import PoseModel, load
from edgepose.offline.tracker import KeyFrameTracking
from edgepose.pool import TrackerPool
from edgepose.tracker import PoseTracker
from edgepose.utils.progress import show_progress


def warm(model: str, engine: Mapping[str, Any]) -> None:
    """Compile a model's networks and all kernels, so that they are in the caches.

    Args:
        model: name or path of a bundle.
        engine: keyword arguments of the trackers: backend, device, precision, num_threads.

    Raises:
        EdgePoseError: the model cannot be loaded, or fails.
    """
    with load(model, **engine) as loaded:
        steps = _steps(loaded, model, engine)
        with show_progress(f"warm {model}", len(steps)) as progress:
            for note, step in steps.items():
                step()
                progress.advance(note=note)


def _steps(
    loaded: PoseModel, model: str, engine: Mapping[str, Any]
) -> dict[str, Callable[[], None]]:
    def tracker(**options: Any) -> None:
        with PoseTracker(loaded, **options) as made:
            made.warmup()

    def pool() -> None:
        # Its networks are compiled for one thread each, unless the options say otherwise.
        with TrackerPool(model, on_result=lambda *_: None, **engine) as made:
            made.warmup()

    def several_people() -> None:
        if loaded.has_detector:
            loaded.detector()
            loaded.batch_method()

    def refinement() -> None:
        if loaded.springs is not None:
            tracker(refine="thin-slicing")

    return {
        "tracker": tracker,
        "pool": pool,
        "several people": several_people,
        "key frames": partial(tracker, key_frames="auto"),
        "key frames of files": lambda: KeyFrameTracking(loaded).warmup(),
        "refinement": refinement,
    }
