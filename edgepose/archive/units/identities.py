"""Identities over the cuts of a video: matched by the frames that two ranges have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.people.association import assign
from edgepose.pose_files.table import PoseTable

#: Two people of a range and the one before are the same if their joints are this close on average,
#: in parts of the height of the person.
_SAME_PERSON = 0.3


@dataclass(frozen=True, slots=True)
class Joined:
    """A range whose identities are those of the video.

    Attributes:
        table: poses and frames of the range, without the overlap before it.
        last_id: the highest identity of the video up to here.
    """

    table: PoseTable
    last_id: int


def join_range(piece: PoseTable, start: int, known: Mapping[int, int], last_id: int) -> Joined:
    """Give the people of a range the identities that they have in the range before.

    Args:
        piece: the range with its overlap, with identities of its own.
        start: its first frame after the overlap.
        known: identities in the video of those in ``piece``, as of :func:`matching_people`.
        last_id: the highest identity of the video so far; others are counted from there.
    """
    rows = piece.frame >= start
    new_ids = dict(known)
    for identity in sorted(set(piece.person_id[rows].tolist()) - known.keys()):
        last_id += 1
        new_ids[identity] = last_id
    kept = piece.select(rows)
    ids = np.array([new_ids[identity] for identity in kept.person_id.tolist()], np.int32)
    frames = piece.frames.select(piece.frames.frame >= start)
    return Joined(replace(kept, person_id=ids, frames=frames), last_id)


def matching_people(piece: PoseTable, before: PoseTable | None, start: int) -> dict[int, int]:
    """Return identities in the range before, by those of the same people in a range.

    Args:
        piece: the range with its overlap.
        before: the range before, ``None`` if there is none.
        start: the first frame of the range after the overlap.
    """
    if before is None:
        return {}
    ours, theirs = (
        piece.select(piece.frame < start),
        before.select(before.frame >= piece.frames.frame.min(initial=start)),
    )
    mine, others = np.unique(ours.person_id), np.unique(theirs.person_id)
    distances = np.full((len(mine), len(others)), np.inf)
    for row, identity in enumerate(mine.tolist()):
        for column, other in enumerate(others.tolist()):
            distances[row, column] = _distance(
                ours.select(ours.person_id == identity), theirs.select(theirs.person_id == other)
            )
    distances[~(distances <= _SAME_PERSON)] = np.inf
    return {int(mine[row]): int(others[column]) for row, column in assign(distances)}


def _distance(ours: PoseTable, theirs: PoseTable) -> float:
    """Return the mean distance of joints in the last half of the common frames, in heights."""
    frames, first, second = np.intersect1d(ours.frame, theirs.frame, return_indices=True)
    if not len(frames):
        return float("inf")
    # The range behind the cut has only warmed up by then.
    late = frames >= np.median(frames)
    here, there = ours.keypoints[first[late]], theirs.keypoints[second[late]]
    apart = np.linalg.norm(here[..., :2] - there[..., :2], axis=-1)
    return float(np.nanmedian(_mean_of_joints(apart) / _heights(there)))


def _mean_of_joints(values: NDArray[np.float32]) -> NDArray[np.float32]:
    there = np.isfinite(values)
    total = np.where(there, values, 0).sum(axis=1)
    return np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), np.nan)


def _heights(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    places = np.where(np.isfinite(keypoints[..., :2]), keypoints[..., :2], np.nan)
    with np.errstate(invalid="ignore"):
        size = np.nanmax(places, axis=1) - np.nanmin(places, axis=1)
    heights: NDArray[np.float32] = np.maximum(size.max(axis=1), 1.0)
    return heights
