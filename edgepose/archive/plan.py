"""The plan of an archive: units of work, the same for the same files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from edgepose.archive.settings import CutSettings
from edgepose.archive.videos import Video, fingerprint
from edgepose.utils.synced_files import write_synced
from edgepose_runtime.errors import PoseFileError
from edgepose_runtime.files import shown

#: Files with fewer bytes per frame of a range are not opened to count their frames, and not cut:
#: videos of people have more.
_FEWEST_BYTES_PER_FRAME = 500


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of frames of one video, which one worker tracks.

    Attributes:
        unit: its name: a hash of the video's name and fingerprint and of the range.
        video: name of the video.
        path: where the file is.
        fingerprint: of the file.
        start: first frame, from 0.
        stop: the frame after the last; ``None`` for the end of the video.
        index: number of the range in the video, from 0.
        size: the unit's part of the file, in bytes.
    """

    unit: str
    video: str
    path: str
    fingerprint: str
    start: int
    stop: int | None
    index: int
    size: int

    @property
    def is_cut(self) -> bool:
        """Whether the video has several ranges."""
        return self.start > 0 or self.stop is not None


def plan_units(videos: Iterable[Video], cut: CutSettings) -> Iterator[Unit]:
    """Yield the units of videos, in their order.

    The last range of a file has no end, so that nothing is lost where a container announces too
    few frames; one that announces too many has ranges without a frame.
    """
    for video in videos:
        mark, size = fingerprint(video.path)
        count = _num_ranges(video.path, size, cut)
        for index in range(count):
            start = index * cut.frames_per_unit
            stop = start + cut.frames_per_unit if index < count - 1 else None
            name = _unit_name(video.name, mark, start, stop)
            yield Unit(name, video.name, video.path, mark, start, stop, index, size // count)


def write_plan(path: Path, units: Iterable[Unit]) -> None:
    """Write a plan, a line for each unit.

    Raises:
        OutputError: the file cannot be written.
    """
    write_synced(path, "".join(json.dumps(asdict(unit)) + "\n" for unit in units).encode())


def read_plan(path: Path) -> list[Unit]:
    """Return the units of a plan; none where there is no plan.

    Raises:
        PoseFileError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8") as file:
            return [Unit(**json.loads(line)) for line in file]
    except (OSError, ValueError, TypeError) as error:
        raise PoseFileError(
            f"The plan '{shown(path)}' is damaged: {error}. Remove it; the next run writes it anew."
        ) from error


def _num_ranges(path: str, size: int, cut: CutSettings) -> int:
    if size <= cut.frames_per_unit * _FEWEST_BYTES_PER_FRAME:
        return 1
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    finally:
        capture.release()
    # Some containers announce nonsense; no frame has less than a byte.
    frames = frames if 0 < frames <= size else 0
    return max(1, -(-int(frames) // cut.frames_per_unit))


def _unit_name(video: str, mark: str, start: int, stop: int | None) -> str:
    text = json.dumps([video, mark, start, stop])
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
