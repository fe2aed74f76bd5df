"""The poses of a file as arrays, a row for each person in each frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import Skeleton

#: Stands for a ``key_frame_age`` that is not known.
UNKNOWN_AGE = -1


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """Every frame that was tracked, with or without people, in the order of the file.

    Attributes:
        video: int32 (M,), index into :attr:`PoseTable.videos`.
        frame: int64 (M,), number of the frame in its video, from 0.
        timestamp_ms: float64 (M,).
        reason: str (M,), why there is no pose; empty if there is one.
    """

    video: NDArray[np.int32]
    frame: NDArray[np.int64]
    timestamp_ms: NDArray[np.float64]
    reason: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.frame)

    def select(self, rows: NDArray[Any]) -> FrameTable:
        """Return some of the frames.

        Args:
            rows: bool (M,) or indices.
        """
        return FrameTable(**{name: getattr(self, name)[rows] for name in _FRAME_FIELDS})


@dataclass(frozen=True, slots=True, eq=False)
class PoseTable:
    """Poses as arrays of N rows, one for each person in each frame, in the order of the file.

    Attributes:
        skeleton: names and order of the K joints.
        videos: names of the videos that the poses are from.
        video: int32 (N,), index into ``videos``.
        frame: int64 (N,), number of the frame in its video, from 0.
        timestamp_ms: float64 (N,), time in the video.
        person_id: int32 (N,), identity within the video, from 1.
        keypoints: float32 (N, K, 3): x and y in pixels and a score from 0 to 1; NaN, NaN and 0
            for a joint that was not seen.
        score: float32 (N,), mean score of the joints.
        roi: float32 (N, 4): x, y, width, height of the square that the network saw, in pixels; NaN
            where it is not known.
        origin: str (N,), an :class:`edgepose.Origin`.
        state: str (N,), an :class:`edgepose.PersonState`.
        key_frame_age: int32 (N,), frames since the head last ran; -1 where it is not known.
        frames: all frames, those without a person too.
        metadata: what else the file says of itself, such as ``"model"``.
    """

    skeleton: Skeleton
    videos: tuple[str, ...]
    video: NDArray[np.int32]
    frame: NDArray[np.int64]
    timestamp_ms: NDArray[np.float64]
    person_id: NDArray[np.int32]
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]
    roi: NDArray[np.float32]
    origin: NDArray[np.str_]
    state: NDArray[np.str_]
    key_frame_age: NDArray[np.int32]
    frames: FrameTable
    metadata: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.frame)

    def select(self, rows: NDArray[Any] | slice) -> PoseTable:
        """Return the table with some rows of people; ``frames`` stay as they are.

        Args:
            rows: bool (N,), indices or a slice.
        """
        chosen = {name: getattr(self, name)[rows] for name in _ROW_FIELDS}
        return replace(self, **chosen)

    def of_video(self, name: str) -> PoseTable:
        """Return the poses and frames of one video.

        Raises:
            ConfigError: the table has no such video.
        """
        if name not in self.videos:
            known = ", ".join(self.videos[:5]) or "none"
            raise ConfigError(f"There are no poses of the video {name!r}; the first are: {known}.")
        index = self.videos.index(name)
        frames = self.frames.select(self.frames.video == index)
        return replace(self.select(self.video == index), frames=frames)

    def ordered(self) -> PoseTable:
        """Return the table by names of videos, frames and identities."""
        videos = tuple(sorted(self.videos))
        place = {name: index for index, name in enumerate(videos)}
        table = replace(_with_places(self, place), videos=videos)
        frames = table.frames
        rows = np.lexsort((table.person_id, table.frame, table.video))
        order = np.lexsort((frames.frame, frames.video))
        return replace(table.select(rows), frames=frames.select(order))

    def groups(self) -> Iterator[tuple[str, int, NDArray[np.int64]]]:
        """Yield (video, frame, rows) for each frame with people, by video and frame.

        Rows are indices (P,) in the order of the identities.
        """
        order = np.lexsort((self.person_id, self.frame, self.video))
        keys = np.stack([self.video[order].astype(np.int64), self.frame[order]])
        starts = np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0)) + 1
        for rows in np.split(order, starts) if len(order) else ():
            yield self.videos[self.video[rows[0]]], int(self.frame[rows[0]]), rows


_ROW_FIELDS = (
    *("video", "frame", "timestamp_ms", "person_id", "keypoints", "score", "roi", "origin"),
    *("state", "key_frame_age"),
)
_FRAME_FIELDS = tuple(field.name for field in fields(FrameTable))


def joined_tables(tables: Sequence[PoseTable]) -> PoseTable:
    """Return one table with the rows of several, in order; metadata are those of the first.

    Raises:
        ConfigError: there is none, or their skeletons differ.
    """
    if not tables:
        raise ConfigError("There are no tables of poses to join.")
    skeletons = {table.skeleton.joints for table in tables}
    if len(skeletons) > 1:
        names = ", ".join(sorted({table.skeleton.name for table in tables}))
        raise ConfigError(f"Poses of different skeletons cannot be joined: {names}.")
    videos = tuple(dict.fromkeys(name for table in tables for name in table.videos))
    place = {name: index for index, name in enumerate(videos)}
    moved = [_with_places(table, place) for table in tables]
    rows: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in moved]) for name in _ROW_FIELDS
    }
    frames: dict[str, Any] = {
        name: np.concatenate([getattr(table.frames, name) for table in moved])
        for name in _FRAME_FIELDS
    }
    return replace(moved[0], videos=videos, frames=FrameTable(**frames), **rows)


def _with_places(table: PoseTable, place: Mapping[str, int]) -> PoseTable:
    index = np.array([place[name] for name in table.videos] or [0], np.int32)
    frames = replace(table.frames, video=index[table.frames.video])
    return replace(table, video=index[table.video], frames=frames)
