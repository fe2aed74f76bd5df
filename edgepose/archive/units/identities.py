"""Identities over the cuts of a video: matched by the frames that two ranges have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.archive.units.late_people import match_late_people
from edgepose.people.association import assign_within
from edgepose.pose_files.table import PoseTable
from edgepose.results import PersonState

#: Two people of a range and the one before are the same if their joints are this close on average,
#: in parts of the height of the person.
_SAME_PERSON = 0.3
#: So many frames at the end of the overlap say first who is who.
_LAST_FRAMES = 5


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

    People are matched by their poses in common frames, the last ones first, and the others by where
    they were lost.

    Args:
        piece: the range with its overlap.
        before: the range before, ``None`` if there is none.
        start: the first frame of the range after the overlap.
    """
    if before is None:
        return {}
    overlap = np.unique(piece.frames.frame[piece.frames.frame < start])
    if not len(overlap):
        return match_late_people(piece, before, {}, start)
    known: dict[int, int] = {}
    last = max(start - _LAST_FRAMES, int(overlap[0]))
    # Whoever was exchanged with somebody within the overlap is who they are at its end.
    for since in (last, int(overlap[0])):
        known |= _match_from(since, piece, before, start, known)
    return known | match_late_people(piece, before, known, start)


def _match_from(
    since: int, piece: PoseTable, before: PoseTable, start: int, known: Mapping[int, int]
) -> dict[int, int]:
    """Match people whom both ranges see in frames from ``since`` on, and who are not known yet."""
    ours = piece.select(_seen(piece, since, start) & ~np.isin(piece.person_id, list(known)))
    taken = list(known.values())
    theirs = before.select(_seen(before, since, start) & ~np.isin(before.person_id, taken))
    mine, others = np.unique(ours.person_id), np.unique(theirs.person_id)
    distances = np.full((len(mine), len(others)), np.inf)
    for row, identity in enumerate(mine.tolist()):
        for column, other in enumerate(others.tolist()):
            distances[row, column] = _distance(
                ours.select(ours.person_id == identity), theirs.select(theirs.person_id == other)
            )
    pairs = assign_within(distances, _SAME_PERSON)
    return {int(mine[row]): int(others[column]) for row, column in pairs}


def _seen(table: PoseTable, since: int, stop: int) -> NDArray[np.bool_]:
    """Return which poses are from some frames, and not only predicted."""
    seen: NDArray[np.bool_] = table.state == str(PersonState.TRACKED)
    return seen & (table.frame >= since) & (table.frame < stop)


def _distance(ours: PoseTable, theirs: PoseTable) -> float:
    """Return the median over common frames of the joints' mean distance, in heights."""
    _, first, second = np.intersect1d(ours.frame, theirs.frame, return_indices=True)
    if not len(first):
        return float("inf")
    here, there = ours.keypoints[first], theirs.keypoints[second]
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
