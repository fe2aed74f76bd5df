"""PoseTracker: a frame goes in, a pose comes out."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.loading import DEFAULT_MODEL, PoseModel, load
from edgepose.results import PoseResult
from edgepose.stats import StageClock, StatsRecorder, TrackerStats
from edgepose.stream import PoseStream, RoiLike
from edgepose.timestamps import StreamTime
from edgepose_runtime.crop import as_bgr
from edgepose_runtime.errors import ClosedError, ConfigError, EdgePoseError
from edgepose_runtime.skeletons import Skeleton
from edgepose_runtime.smoothing import OneEuroSettings

#: Options that are named in the documentation of the product, and come with a later version.
_LATER = (
    "key_frames",
    "refine",
    "head",
    "deadline_ms",
    "policy",
    "on_result",
    "on_drop",
    "on_error",
    "on_event",
)


class PoseTracker:
    """Tracks one person through one stream of frames.

    It finds the person in the whole frame, follows the pose from then on, notices when the person
    is lost, and looks again. Several trackers can share the networks of one :func:`edgepose.load`.

    Any method may be called from any thread; frames are tracked one at a time, in the order in
    which the calls get in.

    Args:
        model: name of a shipped bundle, path of a bundle, or a loaded model to share. A model
            that the tracker loads itself is closed with it; a shared one is not.
        backend: see :func:`edgepose.load`; like the next three, only for a model not loaded yet.
        device: where the networks run.
        precision: what they compute in.
        num_threads: CPU threads for each network.
        smoothing: whether joints are smoothed in time (One-Euro filter), or how.
        reinitialise_every: run the heavy head every N frames; 0: only at the start and after a
            loss; ``None``: what the bundle recommends.

    Raises:
        ConfigError: an option has no such value, contradicts another, or is not in this version.
        BundleError: there is no such bundle, or it is damaged.
        BackendError: the backend or the device is not there.
    """

    def __init__(
        self,
        model: str | Path | PoseModel = DEFAULT_MODEL,
        *,
        backend: str | None = None,
        device: str | None = None,
        precision: str | None = None,
        num_threads: int | None = None,
        smoothing: bool | OneEuroSettings = True,
        reinitialise_every: int | None = None,
        **later: Any,
    ) -> None:
        _refuse_later(later)
        engine = {
            "backend": backend,
            "device": device,
            "precision": precision,
            "num_threads": num_threads,
        }
        filter_settings = _smoothing_settings(smoothing)
        _check_interval(reinitialise_every)
        self._owns_model = not isinstance(model, PoseModel)
        self._model = _open_model(model, engine)
        self._stream = PoseStream(
            self._model, smoothing=filter_settings, reinitialise_every=reinitialise_every
        )
        self._lock = threading.Lock()
        self._closed = False
        self._start_afresh()

    @property
    def model(self) -> PoseModel:
        """The networks in use, with their name, skeleton and device."""
        return self._model

    @property
    def skeleton(self) -> Skeleton:
        """Names and order of the joints."""
        return self._model.skeleton

    @property
    def stats(self) -> TrackerStats:
        """What the tracker did since it was made or reset: counts, and latency by stage."""
        with self._lock:
            return self._recorder.snapshot()

    def track(
        self,
        frame: NDArray[np.uint8],
        *,
        roi: RoiLike | None = None,
        timestamp_ms: float | None = None,
    ) -> PoseResult:
        """Estimate the pose in the next frame.

        A frame that is refused with an error leaves no trace, other than in the count of errors:
        the next one is tracked as if it had not been there.

        Args:
            frame: uint8 BGR (H, W, 3); grey (H, W) and BGRA (H, W, 4) are taken too. Frames may
                change their size: the person is then looked for afresh.
            roi: (x, y, width, height) in pixels of the frame: look at this region alone. The
                network sees the square around its centre whose side is the longer of width and
                height, nothing is added. ``None``: find and follow the person.
            timestamp_ms: when the frame was taken, in ms, after the frame before; ``None`` for
                now, on a clock that never runs backwards.

        Returns:
            The pose, or no pose and the reason.

        Raises:
            FrameError: the frame is not one that can be tracked, or the roi misses it.
            TimestampError: the timestamp is not after the last one.
            InferenceError: a network failed.
            ClosedError: the tracker or its model was closed.
        """
        with self._lock:
            self._require_open()
            clock = StageClock()
            try:
                image = as_bgr(frame)
                stamp = self._time.check(timestamp_ms)
                result = self._stream.process(image, self._next_id, stamp, roi, clock)
            except EdgePoseError:
                self._recorder.add_error()
                raise
            self._time.accept(stamp)
            self._next_id += 1
            self._recorder.add_result(result)
            return result

    def warmup(self) -> None:
        """Run every network and kernel once, so that the first frame is as quick as the others.

        Raises:
            InferenceError: a network failed.
            ClosedError: the tracker or its model was closed.
        """
        with self._lock:
            self._require_open()
            self._stream.warmup()
            self._recorder.warmed_up()

    def reset(self) -> None:
        """Forget the person, the timestamps and the statistics, as if newly made.

        Raises:
            ClosedError: the tracker was closed.
        """
        with self._lock:
            self._require_open()
            self._stream.reset()
            self._start_afresh()

    def close(self) -> None:
        """Release the networks, unless they are shared; waits for a frame in work.

        A second call does nothing.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._owns_model:
                self._model.close()

    def __enter__(self) -> PoseTracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._next_id} frames"
        return f"PoseTracker({self._model!r}, {state})"

    def _start_afresh(self) -> None:
        self._time = StreamTime()
        self._recorder = StatsRecorder()
        self._next_id = 0

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("The tracker was closed; make a new PoseTracker.")


def _refuse_later(options: dict[str, Any]) -> None:
    for name in options:
        if name not in _LATER:
            raise TypeError(f"PoseTracker() got an unexpected keyword argument {name!r}")
    wanted = [name for name, value in options.items() if value is not None]
    if wanted:
        raise ConfigError(
            f"The option {wanted[0]} is not available in this version of edgepose; leave it out."
        )


def _check_interval(reinitialise_every: int | None) -> None:
    if reinitialise_every is not None and reinitialise_every < 0:
        raise ConfigError(
            "reinitialise_every must be a number of frames, 0 for never or None for what the "
            f"bundle recommends; got {reinitialise_every!r}."
        )


def _smoothing_settings(smoothing: bool | OneEuroSettings) -> OneEuroSettings | None:
    if isinstance(smoothing, OneEuroSettings):
        return smoothing
    if not isinstance(smoothing, bool):
        raise ConfigError(f"smoothing must be True, False or OneEuroSettings; got {smoothing!r}.")
    return OneEuroSettings() if smoothing else None


def _open_model(model: str | Path | PoseModel, engine: dict[str, Any]) -> PoseModel:
    given = {name: value for name, value in engine.items() if value is not None}
    if not isinstance(model, PoseModel):
        return load(model, **given)
    if given:
        raise ConfigError(
            f"{', '.join(given)} cannot be chosen for {model!r}, which is loaded already; give "
            "such options to edgepose.load()."
        )
    return model
