"""Annotated video clips as they are evaluated: every frame in order, decoded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.frames import PictureFiles
from edgepose.datasets.labels import mask_missing
from edgepose.datasets.records import Image, PersonClip, encode_picture
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import Skeleton

#: What labels of a grade weigh in training; a wrong scale would move joints of grade B by 2.6 px.
GRADE_WEIGHT = {"A": 1.0, "B": 0.7}


@dataclass(frozen=True)
class Clip:
    """One annotated person in consecutive frames.

    Attributes:
        name: the clip, unique within its data set.
        film: the film or source video it was cut from.
        frames: call it for an iterator over T images, uint8 (H, W, 3) BGR. It raises `DataError`
            if the clip cannot be decoded whole.
        keypoints: float32 (T, K, 3): x, y in pixels and 1 where the joint is scored, else 0. The
            coordinates of joints that are not scored (outside the image, say) are kept.
        boxes: float32 (T, 4) as x1, y1, x2, y2 in pixels, or None where the set has no boxes.
        skeleton: the order of the joints.
        fps: frames per second.
        split: the part of the data set.
        grade: how sure the annotation is; "A" is best.
        full_body: whether the whole body is in the picture.
    """

    name: str
    film: str
    frames: Callable[[], Iterator[Image]]
    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32] | None
    skeleton: Skeleton
    fps: float
    split: str
    grade: str = "A"
    full_body: bool = True

    def __len__(self) -> int:
        return len(self.keypoints)


def person_clip(clip: Clip, skeleton: Skeleton) -> PersonClip:
    """Turn a clip into what is trained on: joints of `skeleton`, weighted by the clip's grade.

    Frames in files of their own stay there; a video's are kept in memory as JPEG.

    Raises:
        DataError: a video cannot be decoded whole.
    """
    labels = convert_keypoints(clip.keypoints, clip.skeleton, skeleton)
    labels[..., 2] *= GRADE_WEIGHT[clip.grade]
    if isinstance(clip.frames, PictureFiles):
        return PersonClip(clip.name, clip.frames.paths, mask_missing(labels), clip.boxes)
    frames = tuple(encode_picture(frame) for frame in clip.frames())
    return PersonClip(clip.name, frames, mask_missing(labels), clip.boxes)


def checked_clip(clip: Clip) -> Clip:
    """Return the clip itself if it can be used.

    Raises:
        DataError: it is empty, has another number of frames than of labels, or scores joints whose
            coordinates are not finite.
    """
    if not len(clip):
        raise DataError(f"The clip {clip.name} is empty.")
    if isinstance(clip.frames, PictureFiles) and len(clip.frames.paths) != len(clip):
        raise DataError(
            f"The clip {clip.name} has {len(clip.frames.paths)} frames, but {len(clip)} are "
            "annotated."
        )
    finite = np.isfinite(clip.keypoints).all(axis=-1)
    broken = (~finite & (clip.keypoints[..., 2] != 0)).any(axis=-1)
    if broken.any():
        raise DataError(
            f"The clip {clip.name} has joints that are not finite in {broken.sum()} of its "
            f"{len(clip)} frames, frame {broken.argmax()} first."
        )
    return clip
