"""What a bundle reaches on validation clips, which no training or calibration step has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.gt_box import GtBoxPredictor
from edgepose.evaluation.protocols.runner import Candidate, evaluate
from edgepose.inference.model import load
from edgepose.methods import FramewiseMethod, MethodSpec
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.bundles.bundle import Bundle

ALPHAS = (0.2, 0.1)
MEASURE = "PCK-torso over 12 limb joints in percent, at 0.2 and 0.1, gt-box protocol"


@dataclass(frozen=True)
class Pck:
    """PCK-torso of the twelve limb joints in percent, at 0.2 and at 0.1."""

    at_02: float
    at_01: float

    def as_list(self) -> list[float]:
        """Return both, rounded as they are printed."""
        return [round(self.at_02, 2), round(self.at_01, 2)]


@dataclass(frozen=True)
class Loss:
    """What a part of a bundle reaches in float and in int8."""

    float32: Pck
    int8: Pck

    @property
    def points(self) -> float:
        """How much int8 loses at 0.2; negative where it gains."""
        return self.float32.at_02 - self.int8.at_02


def validation_clips(root: Path, limit: int | None = None) -> list[Clip]:
    """Return the JHMDB clips that choices are made on, of the surest annotation.

    Raises:
        DataError: they are not in that folder.
    """
    return select_clips(Selection(root=root / "jhmdb", split="selection", grade="A", limit=limit))


def bundle_pck(bundle: Bundle, clips: Sequence[Clip], on_clip: Callable[[], None]) -> Pck:
    """Return what a bundle reaches when its head runs on the first frame of a clip only."""
    with load(bundle.path, precision="float32", num_threads=1) as model:
        return _pck(GtBoxPredictor(model.method), clips, on_clip)


def head_pck(bundle: Bundle, clips: Sequence[Clip], on_clip: Callable[[], None]) -> Pck:
    """Return what a bundle's head reaches by itself, each frame for itself."""
    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    graph = bundle.graph_path("head")
    with get_backend("openvino").load(graph, settings=settings) as network:
        method = FramewiseMethod(MethodSpec.from_manifest(bundle.manifest), network)
        return _pck(GtBoxPredictor(method), clips, on_clip)


def subsampled(clip: Clip, every: int) -> Clip:
    """Return a clip of every n-th frame only: neighbouring frames are nearly alike."""

    def frames() -> islice[Image]:
        return islice(clip.frames(), 0, None, every)

    boxes: NDArray[np.float32] | None = None if clip.boxes is None else clip.boxes[::every]
    return replace(clip, frames=frames, keypoints=clip.keypoints[::every], boxes=boxes)


def _pck(predictor: GtBoxPredictor, clips: Sequence[Clip], on_clip: Callable[[], None]) -> Pck:
    measures = [each for each in measures_for(ALPHAS) if each.reference == "torso"]
    run = evaluate(Candidate("", predictor), clips, measures, lambda _: on_clip())
    return Pck(*(run.score.pck(measure).limbs12 for measure in measures))
