"""The frames that all models are timed on, and the person's box in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edgepose.inference.model import PoseModel
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import DEFAULT_FPS, open_source
from edgepose_runtime.errors import DataError
from edgepose_runtime.geometry.crop import Image
from edgepose_runtime.geometry.roi import PERSON_CROP_FACTOR, Roi


def sample_clip() -> Path:
    """Return the clip of the checkout that this is, or that is the current folder.

    The wheel has no clips: it may be missing.
    """
    clip = Path("samples", "clips", "balance.mp4")
    own = Path(__file__).resolve().parents[2] / clip
    return clip if clip.is_file() and not own.is_file() else own


@dataclass(frozen=True)
class BenchmarkFrames:
    """Frames of one clip with the box around the person in each.

    Attributes:
        name: of the clip.
        frames: uint8 BGR (H, W, 3).
        boxes: one for each frame.
        interval_ms: time from one frame to the next.
    """

    name: str
    frames: Sequence[Image]
    boxes: Sequence[Roi]
    interval_ms: float


def read_benchmark_frames(clip: Path, count: int, model: PoseModel) -> BenchmarkFrames:
    """Read the first frames of a clip, and find the person in them.

    Args:
        clip: a video.
        count: at most so many frames.
        model: finds the person, frame by frame.

    Raises:
        SourceError: the clip cannot be read.
        DataError: nobody is to be seen in it.
    """
    with open_source(clip) as source:
        frames = [frame.image for frame in islice(source, count)]
        interval = 1e3 / (source.fps or DEFAULT_FPS)
    return BenchmarkFrames(clip.name, frames, _boxes(frames, interval, model, clip), interval)


def _boxes(frames: Sequence[Image], interval: float, model: PoseModel, clip: Path) -> list[Roi]:
    """Return one box per frame; where there is no pose, that of a neighbour."""
    with PoseTracker(model) as tracker:
        results = [
            tracker.track(frame, timestamp_ms=number * interval)
            for number, frame in enumerate(frames)
        ]
    found = [
        None if result.keypoints is None or result.roi is None else person_box(Roi(*result.roi))
        for result in results
    ]
    last = next((box for box in found if box is not None), None)
    if last is None:
        raise DataError(
            f"{model.name} finds nobody in {clip}, so there is nothing to time; "
            "give another video with --clip."
        )
    filled = []
    for box in found:
        last = box or last
        filled.append(last)
    return filled


def person_box(roi: Roi) -> Roi:
    """Return the box whose square crop is ``roi``."""
    return Roi.around(roi.center, roi.width / PERSON_CROP_FACTOR)
