"""People whom a range finds only after the one before has lost them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.export.boxes import trusted_boxes
from edgepose.people.association import assign_within
from edgepose.people.motion import PersonMotion, distances
from edgepose.people.recognition import MOST_GROWTH
from edgepose.pose_files.table import PoseTable
from edgepose.results import PersonState

#: For so long a person may not have been seen, in ms.
LONGEST_GAP_MS = 1000.0
#: A person is found so far from the predicted place at most, in heights.
MOST_DISTANCE = 0.4
#: So many of the last sightings say how somebody moves.
_HISTORY = 25


@dataclass(frozen=True, slots=True)
class _Sightings:
    """When and where one person was seen: milliseconds (N,) and boxes (N, 4), N at least 1."""

    identity: int
    times: NDArray[np.float64]
    boxes: NDArray[np.float64]

    def motion(self) -> PersonMotion:
        """Return where the person was last, and how fast."""
        boxes, times = self.boxes[-_HISTORY:], self.times[-_HISTORY:]
        motion = PersonMotion(boxes[0], float(times[0]))
        for box, time in zip(boxes[1:], times[1:], strict=True):
            motion.update(box, float(time))
        return motion


def match_late_people(
    piece: PoseTable, before: PoseTable, known: Mapping[int, int], start: int
) -> dict[int, int]:
    """Match people by where the one range lost them and the other then found them.

    The detector of a range may see somebody late, even after the overlap. Who was seen by both
    ranges at the same time is not matched here.

    Args:
        piece: the range with its overlap.
        before: the range before.
        known: identities in ``before`` of those in ``piece`` who are matched already.
        start: the first frame of the range after the overlap.

    Returns:
        Identities in the range before, by those in the range.
    """
    rest = before.select(before.frame < start)
    found = list(_sightings(piece, set(piece.person_id.tolist()) - known.keys()))
    lost = list(_sightings(rest, set(rest.person_id.tolist()) - set(known.values())))
    costs = np.full((len(found), len(lost)), np.inf)
    for column, there in enumerate(lost):
        motion = there.motion()
        for row, here in enumerate(found):
            costs[row, column] = _cost(motion, here)
    pairs = assign_within(costs, MOST_DISTANCE)
    return {found[row].identity: lost[column].identity for row, column in pairs}


def _cost(motion: PersonMotion, found: _Sightings) -> float:
    """Return how far from the predicted place a person is found; infinite if it is not them."""
    time, box = float(found.times[0]), found.boxes[0]
    growth = (box[3] - box[1]) / max(motion.height, 1.0)
    apart = float(distances(motion.predict(time)[None], box[None])[0, 0])
    fits = 0 < time - motion.seen_ms <= LONGEST_GAP_MS and 1 / MOST_GROWTH <= growth <= MOST_GROWTH
    return apart if fits else np.inf


def _sightings(table: PoseTable, identities: Collection[int]) -> Iterator[_Sightings]:
    """Yield when and where people were seen, without poses that were only predicted."""
    for identity in sorted(identities):
        rows = (table.person_id == identity) & (table.state == str(PersonState.TRACKED))
        boxes = trusted_boxes(table.keypoints[rows])
        boxes[:, 2:] += boxes[:, :2]
        seen = np.isfinite(boxes).all(axis=1)
        if seen.any():
            yield _Sightings(identity, table.timestamp_ms[rows][seen], boxes[seen])
