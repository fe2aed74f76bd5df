"""Videos of several people whose boxes and identities are annotated in every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.frames import VideoFile, frame_rate
from edgepose.datasets.readers.tables import load_table, numbers
from edgepose.datasets.records import Image
from edgepose_runtime.errors import DataError

#: Containers in which the video of an annotation is looked for.
CONTAINERS = (".avi", ".mp4")
_SUFFIX = "_boxes.npz"


@dataclass(frozen=True)
class PeopleClip:
    """A video of several people.

    Attributes:
        name: unique within the data set.
        frames: call it for an iterator over T images, uint8 (H, W, 3) BGR.
        count: T, the number of frames.
        fps: frames per second.
        rows: float32 (N, 6): frame (from 0), person, x1, y1, x2, y2 in pixels.
    """

    name: str
    frames: Callable[[], Iterator[Image]]
    count: int
    fps: float
    rows: NDArray[np.float32]

    def __len__(self) -> int:
        return self.count

    def people(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield the identities (P,) and boxes (P, 4) x1, y1, x2, y2 of each frame."""
        for frame in range(self.count):
            rows = self.rows[self.rows[:, 0] == frame]
            yield rows[:, 1].astype(np.int64), rows[:, 2:].astype(np.float64)


def read_people_clips(root: Path) -> list[PeopleClip]:
    """Read every video of a folder that has an annotation ``<name>_boxes.npz`` beside it.

    The annotation's array ``rows`` is that of :class:`PeopleClip`; its last frame is the video's.

    Args:
        root: the folder.

    Raises:
        DataError: there is no such annotation, a video is missing, or the numbers are damaged.
    """
    annotations = sorted(root.glob(f"*{_SUFFIX}"))
    if not annotations:
        raise DataError(f"The folder '{root}' has no annotation *{_SUFFIX} of several people.")
    return [_read(path) for path in annotations]


def _read(path: Path) -> PeopleClip:
    name = path.name.removesuffix(_SUFFIX)
    rows = numbers(load_table(path, "rows"), "rows", (None, 6), path)
    _check(rows, path)
    video = _video(path.with_name(name))
    count = int(rows[:, 0].max()) + 1
    return PeopleClip(name, VideoFile(video, count), count, frame_rate(video), rows)


def _check(rows: NDArray[np.float32], path: Path) -> None:
    numbered = np.isfinite(rows).all() and (rows[:, :2] >= 0).all()
    whole = numbered and (rows[:, :2] == np.floor(rows[:, :2])).all()
    if not (len(rows) and whole and (rows[:, 4:] > rows[:, 2:4]).all()):
        raise DataError(
            f"'rows' in '{path}' must hold frame, person, x1, y1, x2, y2: whole numbers from 0 on, "
            "then a box with an area; some rows are not like that."
        )
    if len(np.unique(rows[:, :2], axis=0)) != len(rows):
        raise DataError(f"'rows' in '{path}' has two boxes for the same person in one frame.")


def _video(stem: Path) -> Path:
    for container in CONTAINERS:
        candidate = stem.with_name(stem.name + container)
        if candidate.is_file():
            return candidate
    raise DataError(f"The video '{stem}' is missing; looked for {', '.join(CONTAINERS)}.")
