"""Constructors and methods, called with wrong types and numbers at the ends of their ranges."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import edgepose
from benchmarks.attack.outcome import Input, UntypedError
from benchmarks.attack.values import any_image, any_value
from edgepose import sinks
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.poses.roi_tracker import RoiTrackerSettings

FRAME = np.zeros((48, 64, 3), np.uint8)
TRACKING = (
    "smoothing", "reinitialise_every", "deadline_ms", "policy", "head_local", "key_frames",
    "refine", "search_budget", "on_result", "on_drop", "on_error", "on_event", "backend",
    "num_threads", "max_people", "color",
)  # fmt: skip
#: Constructors and functions of the facade, and their options.
CALLS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "KeyFrames": (edgepose.KeyFrames, ("max_key_rate", "tolerance", "lag_frames")),
    "ThinSlicing": (edgepose.ThinSlicing, ("lag_frames", "springs", "flow", "check_flow")),
    "OneEuroSettings": (
        edgepose.OneEuroSettings,
        tuple(edgepose.OneEuroSettings.__dataclass_fields__),
    ),
    "LiveSettings": (edgepose.LiveSettings, tuple(edgepose.LiveSettings.__dataclass_fields__)),
    "ServerSettings": (
        edgepose.ServerSettings,
        tuple(edgepose.ServerSettings.__dataclass_fields__),
    ),
    "RemoteHead": (edgepose.RemoteHead, tuple(edgepose.RemoteHead.__dataclass_fields__)),
    "RoiTrackerSettings": (RoiTrackerSettings, tuple(RoiTrackerSettings.__dataclass_fields__)),
    "load": (edgepose.load, ("model", "backend", "device", "precision", "num_threads")),
    "get_skeleton": (edgepose.get_skeleton, ("name",)),
}


def calls(rng: random.Random, folder: Path) -> Input:
    """Return a random call; files it writes lie in the folder."""
    kinds = (_constructor, _constructor, _tracker, _pool, _frames, _source, _sink, _close)
    return rng.choice(kinds)(rng, folder)


def _named(what: str, options: dict[str, Any], run: Callable[[], object]) -> Input:
    return Input(f"{what}({', '.join(f'{k}={_short(v)}' for k, v in options.items())})", run)


def _ignore(*_given: object) -> None:
    """Serve as a callback."""


def _short(value: object) -> str:
    return ascii(value)[:80]


def _options(rng: random.Random, names: tuple[str, ...]) -> dict[str, Any]:
    chosen = rng.sample(names, rng.randint(1, min(3, len(names))))
    options = {name: any_value(rng) for name in chosen}
    # What a user's own function raises is the user's.
    return {name: _ignore if callable(value) else value for name, value in options.items()}


def _constructor(rng: random.Random, _folder: Path) -> Input:
    name = rng.choice(sorted(CALLS))
    call, names = CALLS[name]
    options = _options(rng, names)
    if name in ("RemoteHead", "load", "get_skeleton"):
        options.setdefault(names[0], any_value(rng))
    return _named(name, options, partial(call, **options))


def _new_tracker(**options: Any) -> edgepose.PoseTracker:
    return edgepose.PoseTracker(fake_model(FakeMethod(standing_person((32, 24), 30))), **options)


def _tracker(rng: random.Random, _folder: Path) -> Input:
    options = _options(rng, TRACKING)

    def run() -> None:
        with _new_tracker(**options) as tracker:
            if tracker._callbacks.on_result is None:
                tracker.track(FRAME)

    return _named("PoseTracker", options, run)


def _pool(rng: random.Random, _folder: Path) -> Input:
    options = {"on_result": _ignore, **_options(rng, (*TRACKING, "batching"))}
    source, name = any_value(rng), any_value(rng)

    def run() -> None:
        with edgepose.TrackerPool(fake_model(FakeMethod()), **options) as pool:
            pool.add(source, name=name)
            pool.remove(name)

    return _named("TrackerPool", {**options, "source": source, "name": name}, run)


def _frames(rng: random.Random, _folder: Path) -> Input:
    frames = [
        {"frame": any_image(rng), "timestamp_ms": any_value(rng), "roi": any_value(rng)}
        for _ in range(3)
    ]
    if rng.random() < 0.5:  # several of the same kind in a row
        frames = [{**frame, "frame": FRAME, "roi": None} for frame in frames]

    def run() -> None:
        with _new_tracker() as tracker:
            for frame in frames:
                image = frame.pop("frame")
                result = tracker.track(image, **frame)
                if result.keypoints is not None and not np.isfinite(result.keypoints).all():
                    raise UntypedError(f"joints that are not finite: {result.keypoints}")

    return _named("track", {str(i): frame for i, frame in enumerate(frames)}, run)


def _source(rng: random.Random, folder: Path) -> Input:
    options = _options(rng, ("fps", "color", "allow_damaged", "live", "on_event"))
    source = rng.choice([any_value(rng), folder, [FRAME] * 3, iter([FRAME, any_image(rng)])])

    def run() -> None:
        with _new_tracker() as tracker, edgepose.open_source(source, **options) as opened:
            for _ in zip(range(5), tracker.stream(opened), strict=False):
                pass

    return _named("open_source", {"source": source, **options}, run)


def _sink(rng: random.Random, folder: Path) -> Input:
    kind = rng.choice([sinks.JsonlSink, sinks.CsvSink])
    path = rng.choice([any_value(rng), folder / "results", folder / ("x" * 300), folder])

    def run() -> None:
        tracker = _new_tracker()
        header = {} if kind is sinks.CsvSink else {"model": "fake", "source": "fake"}
        with kind(path, skeleton=tracker.skeleton, **header) as sink:
            sink.write(tracker.track(FRAME))

    return _named(kind.__name__, {"path": path}, run)


def _close(rng: random.Random, _folder: Path) -> Input:
    call, timeout = rng.choice(["close", "flush"]), any_value(rng)

    def run() -> None:
        with _new_tracker(on_result=_ignore) as tracker:
            tracker.submit(FRAME)
            getattr(tracker, call)(timeout)

    return _named(call, {"timeout": timeout}, run)
