"""Everything that first starts compile or write, done ahead: for images and services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    steps = _steps(model, engine)
    with show_progress(f"warm {model}", len(steps)) as progress:
        for note, step in steps.items():
            step()
            progress.advance(note=note)


def _steps(model: str, engine: Mapping[str, Any]) -> dict[str, Callable[[], None]]:
    def tracker(**options: Any) -> Callable[[], None]:
        def run() -> None:
            with PoseTracker(model, **engine, **options) as made:
                made.warmup()

        return run

    def detector() -> None:
        with PoseTracker(model, **engine) as made:
            manifest = made.model.manifest
            if manifest is not None and manifest.detector is not None:
                made.model.detector()

    def refinement() -> None:
        with PoseTracker(model, **engine) as made:
            has_springs = made.model.springs is not None
        if has_springs:
            tracker(refine="thin-slicing")()

    def pool() -> None:
        # Its networks are compiled for one thread each, unless the options say otherwise.
        with TrackerPool(model, on_result=lambda *_: None, **engine) as made:
            made.warmup()

    return {
        "tracker": tracker(),
        "pool": pool,
        "detector": detector,
        "key frames": tracker(key_frames="auto"),
        "refinement": refinement,
    }
