"""Options that trackers and pools have in common, checked before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from edgepose.inference.model import PoseModel
from edgepose.keyframes import KeyFrames, key_frame_settings
from edgepose.keyframes.interpolation import KeyFrameInterpolation
from edgepose.keyframes.live import LiveKeyFrames
from edgepose.refinement.base import Refinement
from edgepose.refinement.thin_slicing import refinement
from edgepose.remote import HeadLink
from edgepose.streaming.flow_control import make_policy
from edgepose.tracking.deadline import Deadline
from edgepose.tracking.step import FrameWork
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.smoothing import OneEuroSettings


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How one stream is tracked; see :class:`edgepose.PoseTracker`.

    Raises:
        ConfigError: an option has no such value.
    """

    smoothing: bool | OneEuroSettings
    reinitialise_every: int | None
    deadline_ms: float | None
    policy: str | None
    key_frames: KeyFrames | str | None = None
    refine: str | Refinement | None = None

    def __post_init__(self) -> None:
        _smoothing_settings(self.smoothing)
        _check_interval(self.reinitialise_every)
        if self.deadline_ms is not None:
            Deadline(self.deadline_ms)
        if self.policy is not None:
            make_policy(self.policy)
        key_frame_settings(self.key_frames)
        if refinement(self.refine) is not None and self.key_frames is not None:
            raise ConfigError(
                "key_frames and refine contradict each other: one looks at few frames, the other "
                "compares what networks say about all of them. Leave one out."
            )

    def new_work(self, model: PoseModel, head: HeadLink | None = None) -> FrameWork:
        """Return the work on the frames of a stream that begins."""
        settings, smoothing = (
            key_frame_settings(self.key_frames),
            _smoothing_settings(self.smoothing),
        )
        keys = None if settings is None else LiveKeyFrames(settings, model.skeleton)
        stream = PoseStream(
            model,
            smoothing=smoothing,
            reinitialise_every=self.reinitialise_every,
            head=head,
            key_frames=keys,
        )
        refine, refiner = refinement(self.refine), None
        if refine is not None:
            refiner = refine.new_refiner(model, smoothing)
        elif keys is not None and keys.settings.lag_frames:
            refiner = KeyFrameInterpolation(keys)
        return FrameWork(stream, self.deadline_ms, refiner, head=head)


def _check_interval(reinitialise_every: int | None) -> None:
    if reinitialise_every is None:
        return
    if not _is_whole(reinitialise_every) or reinitialise_every < 0:
        raise ConfigError(
            "reinitialise_every must be a whole number of frames, 0 for never or None for what the "
            f"bundle recommends; got {reinitialise_every!r}."
        )


def _smoothing_settings(smoothing: bool | OneEuroSettings) -> OneEuroSettings | None:
    if isinstance(smoothing, OneEuroSettings):
        return smoothing
    if not isinstance(smoothing, bool):
        raise ConfigError(f"smoothing must be True, False or OneEuroSettings; got {smoothing!r}.")
    return OneEuroSettings() if smoothing else None


def engine_options(
    model: str | Path | PoseModel,
    backend: str | None,
    device: str | None,
    precision: str | None,
    num_threads: int | None,
) -> dict[str, Any]:
    """Return those options that were given, by name.

    Raises:
        ConfigError: one was given for a model that is loaded already.
    """
    options = {
        "backend": backend,
        "device": device,
        "precision": precision,
        "num_threads": num_threads,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if given and isinstance(model, PoseModel):
        raise ConfigError(
            f"{', '.join(given)} cannot be chosen for {model!r}, which is loaded already; give "
            "such options to edgepose.load()."
        )
    return given


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
