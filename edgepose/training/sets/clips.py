"""The training clips of JHMDB as a source of places beside the annotated person."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from edgepose.datasets.clips import Clip
from edgepose.datasets.frames import VideoFile
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.training.sets.sources import Picture, SourceSettings
from edgepose_runtime.errors import DataError
from edgepose_runtime.files import hash_files
from edgepose_runtime.geometry.boxes import Boxes

#: How much the box around the annotated joints is enlarged, in parts of its longer side.
MARGIN = 0.35


class AnnotatedClips:
    """The first frame of each training clip, with a box around the annotated person.

    Args:
        root: the folder of the set ``jhmdb``.

    Raises:
        DataError: its tables are missing or damaged.
    """

    def __init__(self, root: Path) -> None:
        self.settings = SourceSettings("jhmdb", per_file=1)
        self._clips = {clip.name: clip for clip in read_jhmdb_clips(root, "train")}
        self.files = list(self._clips)

    def read(self, file: str) -> tuple[str, Iterator[Picture]]:
        """See :class:`~edgepose.training.sets.sources.Source`."""
        clip = self._clips[file]
        if not isinstance(clip.frames, VideoFile):
            raise DataError(f"The clip {file} is no video.")
        return hash_files(clip.frames.path), _first_frame(clip)


def _first_frame(clip: Clip) -> Iterator[Picture]:
    for image in islice(clip.frames(), 1):
        yield Picture(f"{clip.name}#0", image, person_box(clip))


def person_box(clip: Clip) -> Boxes:
    """Return the box (1, 4) around all joints of the first frame, with the body around them."""
    joints = clip.keypoints[0, :, :2].astype(np.float64)
    low, high = joints.min(axis=0), joints.max(axis=0)
    margin = MARGIN * float((high - low).max())
    return np.concatenate([low - margin, high + margin])[None]
