"""Building a table of poses row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.pose_files.table import UNKNOWN_AGE, FrameTable, PoseTable
from edgepose.results import Origin, Person, PersonState
from edgepose_runtime.poses.skeletons import SKELETONS, Skeleton

_NO_ROI = (np.nan,) * 4


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person in one frame, checked.

    Attributes:
        person_id: the identity, from 1.
        keypoints: float32 (K, 3), NaN, NaN, 0 for a joint that was not seen.
        origin: how the pose came about.
        score: mean score of the joints; ``None`` to compute it.
        roi: (x, y, width, height), ``None`` if it is not known.
        state: whether the person was seen.
        key_frame_age: frames since the head last ran.
    """

    person_id: int
    keypoints: NDArray[np.float32]
    origin: Origin
    score: float | None = None
    roi: Sequence[float] | None = None
    state: PersonState = PersonState.TRACKED
    key_frame_age: int | None = None


@dataclass(slots=True)
class TableBuilder:
    """Collects the frames of one video.

    Attributes:
        skeleton: of the poses.
        video: name of the video.
        metadata: for the table.
    """

    skeleton: Skeleton
    video: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    _frames: list[tuple[int, float, str]] = field(default_factory=list)
    _people: list[tuple[int, float, PersonRow | Person]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many frames there are."""
        return len(self._frames)

    def add(
        self,
        frame: int,
        timestamp_ms: float,
        people: Sequence[PersonRow | Person],
        reason: str = "",
    ) -> None:
        """Append a frame with everybody in it."""
        self._frames.append((frame, timestamp_ms, reason))
        self._people += [(frame, timestamp_ms, person) for person in people]

    def table(self) -> PoseTable:
        """Return what was collected."""
        people = [person for _, _, person in self._people]
        shape = (len(people), self.skeleton.num_joints, 3)
        keypoints = np.array([person.keypoints for person in people], np.float32).reshape(shape)
        return PoseTable(
            skeleton=self.skeleton,
            videos=(self.video,),
            video=np.zeros(len(people), np.int32),
            frame=np.array([frame for frame, _, _ in self._people], np.int64),
            timestamp_ms=np.array([ms for _, ms, _ in self._people], np.float64),
            person_id=np.array([person.person_id for person in people], np.int32),
            keypoints=keypoints,
            score=_scores(people, keypoints),
            roi=np.array([p.roi or _NO_ROI for p in people], np.float32).reshape(-1, 4),
            origin=np.array([person.origin.value for person in people], np.str_),
            state=np.array([person.state.value for person in people], np.str_),
            key_frame_age=np.array([_age(person) for person in people], np.int32),
            frames=self._frame_table(),
            metadata=self.metadata,
        )

    def _frame_table(self) -> FrameTable:
        return FrameTable(
            video=np.zeros(len(self._frames), np.int32),
            frame=np.array([frame for frame, _, _ in self._frames], np.int64),
            timestamp_ms=np.array([ms for _, ms, _ in self._frames], np.float64),
            reason=np.array([reason for _, _, reason in self._frames], np.str_),
        )


def skeleton_of(joints: Sequence[str], name: str | None = None) -> Skeleton:
    """Return the skeleton with these joints: a known one, or one without limbs."""
    for known in SKELETONS.values():
        if known.joints == tuple(joints) and name in (None, known.name):
            return known
    return Skeleton("unknown" if name is None else name, tuple(joints), (), ())


def _scores(
    people: Sequence[PersonRow | Person], keypoints: NDArray[np.float32]
) -> NDArray[np.float32]:
    means = keypoints[:, :, 2].mean(axis=1)
    given = [np.nan if person.score is None else person.score for person in people]
    scores = np.array(given, np.float32)
    return np.where(np.isnan(scores), means, scores).astype(np.float32)


def _age(person: PersonRow | Person) -> int:
    return UNKNOWN_AGE if person.key_frame_age is None else person.key_frame_age
