"""The modes of a tracker: key frames, live or of whole files, and refinement."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.evaluation.protocols.runner import Candidate
from edgepose.evaluation.protocols.tracker import TrackerPredictor, captured, keypoints_of
from edgepose.inference.model import PoseModel
from edgepose.keyframes import KeyFrames
from edgepose.offline.tracker import KeyFrameTracking
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.tracker import PoseTracker
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import Skeleton


@dataclass(frozen=True)
class FileKeyFrames:
    """Select the key frames of a file that is read ahead, as ``edgepose track FILE --key-frames``.

    Attributes:
        rate: the part of the frames, above 0 to 1, to process; ``None`` for as many as are worth
            it.

    Raises:
        ConfigError: the rate is outside its range.
    """

    rate: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= 1:
            raise ConfigError(
                f"The rate of key frames must be a part above 0 and at most 1; got {self.rate}."
            )


Mode = KeyFrames | FileKeyFrames | ThinSlicing
_NAMES = {KeyFrames: "key frames", FileKeyFrames: "key frames of a file", ThinSlicing: "refined"}


@dataclass(frozen=True)
class FileKeyFramePredictor:
    """Predicts clips as ``edgepose track FILE --key-frames`` does.

    Attributes:
        model: looks at the key frames.
        settings: how many there are.
        processed: how many frames of each clip, by name, the networks processed.
    """

    model: PoseModel
    settings: FileKeyFrames
    processed: dict[str, int] = field(default_factory=dict)

    @property
    def skeleton(self) -> Skeleton:
        """The order of the predicted joints."""
        return self.model.skeleton

    def predict(self, clip: Clip) -> NDArray[np.float32]:
        """Return (T, K, 3), as :class:`~edgepose.evaluation.protocols.predictors.ClipPredictor`."""
        tracking = KeyFrameTracking(self.model, rate=self.settings.rate)
        results = [result for _, result in tracking.track(captured(clip))]
        self.processed[clip.name] = tracking.processed
        return keypoints_of(results, self.skeleton)


def in_mode(model: PoseModel, mode: Mode) -> Candidate:
    """The ``tracker`` protocol in a mode, with the tracker's own defaults for all else."""
    label = f"{model.name} {mode_label(mode)}"
    if isinstance(mode, FileKeyFrames):
        return Candidate(label, FileKeyFramePredictor(model, mode))
    if isinstance(mode, KeyFrames):
        new_tracker = partial(PoseTracker, model, key_frames=mode)
    else:
        new_tracker = partial(PoseTracker, model, refine=mode)
    return Candidate(label, TrackerPredictor(model.skeleton, new_tracker, mode.lag_frames))


def mode_label(mode: Mode) -> str:
    """Return the name of a mode, with the settings that are not the defaults."""
    default = type(mode)()
    values = {each.name: getattr(mode, each.name) for each in fields(mode)}
    changed = [
        f"{name}={value}" for name, value in values.items() if value != getattr(default, name)
    ]
    return " ".join([_NAMES[type(mode)], ",".join(changed)]).strip()
