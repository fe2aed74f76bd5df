"""The network's estimates of each frame by itself, clean and degraded: computed once, then kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import person_boxes
from edgepose.inference.model import PoseModel
from edgepose.offline.windows import thumbnail
from edgepose_runtime.geometry.crop import Image
from edgepose_runtime.geometry.roi import Roi

Floats = NDArray[np.float32]

#: The published perturbations (K-FPN, Table 5): brightness factors, blur radius, black square.
BRIGHTER, DARKER = (2, 3, 4, 5), (0.1, 0.2, 0.3, 0.4)
BLUR, SQUARE, SHIFT = 4, 80, 5
CLEAN = "clean"


@dataclass(frozen=True)
class FrameWisePoses:
    """One clip, frame by frame, in the annotated boxes.

    Attributes:
        clip: it.
        poses: (T, K, 3) of the body network alone, by kind of perturbation of all frames.
        thumbnails: (T, M) what frames are compared by, likewise.
    """

    clip: Clip
    poses: Mapping[str, Floats]
    thumbnails: Mapping[str, Floats]


def illumination(image: Image, _roi: Roi, random: np.random.Generator) -> Image:
    """Make a frame much brighter or darker."""
    factor = float(random.choice(BRIGHTER + DARKER))
    return np.asarray(np.clip(image * factor, 0, 255), np.uint8)


def blur(image: Image, _roi: Roi, _random: np.random.Generator) -> Image:
    """Blur a frame with a Gaussian."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR), np.uint8)


def occlusion(image: Image, roi: Roi, random: np.random.Generator) -> Image:
    """Put a black square about the middle of the person's box."""
    x, y = (round(c + random.integers(-SHIFT, SHIFT + 1) - SQUARE / 2) for c in roi.center)
    degraded = image.copy()
    degraded[max(y, 0) : max(y + SQUARE, 0), max(x, 0) : max(x + SQUARE, 0)] = 0
    return degraded


PERTURBATIONS: dict[str, Callable[[Image, Roi, np.random.Generator], Image]] = {
    "illumination": illumination,
    "blur": blur,
    "occlusion": occlusion,
}


def frame_wise_poses(model: PoseModel, clips: Sequence[Clip], folder: Path) -> list[FrameWisePoses]:
    """Return all of it; what is kept already, one file per model and clip, is read from there."""
    kept = folder / identity(model)
    return [_of_clip(model, clip, kept / f"{clip.name}.npz") for clip in clips]


def identity(model: PoseModel) -> str:
    """Return a name that models share only if they say the same: other weights, other name."""
    facts = [model.precision]
    if model.manifest is not None:
        graphs = model.manifest.graphs
        facts += [f"{name} {graphs[name].sha256}" for name in sorted(graphs)]
    return f"{model.name}-{hashlib.sha256(' '.join(facts).encode()).hexdigest()[:12]}"


def _of_clip(model: PoseModel, clip: Clip, path: Path) -> FrameWisePoses:
    kinds = (CLEAN, *PERTURBATIONS)
    if not path.exists():
        arrays: dict[str, Floats] = {}
        for kind in kinds:
            arrays[f"{kind} poses"], arrays[f"{kind} thumbnails"] = _look(model, clip, kind)
        path.parent.mkdir(parents=True, exist_ok=True)  # names of clips have folders, too
        np.savez(path, **arrays)  # type: ignore[arg-type]
    with np.load(path) as kept:
        poses = {kind: kept[f"{kind} poses"] for kind in kinds}
        return FrameWisePoses(clip, poses, {kind: kept[f"{kind} thumbnails"] for kind in kinds})


def _look(model: PoseModel, clip: Clip, kind: str) -> tuple[Floats, Floats]:
    random = np.random.default_rng(0)
    method, poses, small = model.method, [], []
    for frame, box in zip(clip.frames(), person_boxes(clip), strict=True):
        image = frame if kind == CLEAN else PERTURBATIONS[kind](frame, box, random)
        roi = box.squared()
        crop = method.spec.view.crop(image, roi)
        poses.append(method.spec.decode(method.locate(crop, roi), roi))
        small.append(thumbnail(image))
    return np.stack(poses), np.stack(small).astype(np.float32)
