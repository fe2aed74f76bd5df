"""What a stream goes on from: the last frame that showed a person."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgepose.inference.estimator import Image, Keypoints, Look
from edgepose_runtime.geometry.roi import Roi

#: After a longer gap between two frames the pose is not carried on: the head starts afresh.
LONGEST_GAP_MS = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of a stream.

    Attributes:
        image: uint8 BGR (H, W, 3).
        frame_id: its number.
        timestamp_ms: when it was taken.
    """

    image: Image
    frame_id: int
    timestamp_ms: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The last frame that showed a person, and what became of the pose since.

    Attributes:
        look: what networks last saw of the person.
        frame_size: (width, height) in pixels.
        timestamp_ms: when the person was last seen, or carried along.
        unseen: frames since that no network looked at.
        carried: joints float32 (K, 3) that were carried through those, where the region to look at
            has not followed them yet.
    """

    look: Look
    frame_size: tuple[int, int]
    timestamp_ms: float
    unseen: int = 0
    carried: Keypoints | None = None

    @classmethod
    def seen(cls, frame: Frame, look: Look) -> Track:
        """Return the track that goes on from a frame that was looked at."""
        return cls(look, frame.size, frame.timestamp_ms)

    @property
    def head_age(self) -> int:
        """Frames since the head ran; those that no network saw count as well."""
        return self.look.key_frame_age + self.unseen

    @property
    def aged_look(self) -> Look:
        """The look, as old as it is by now."""
        return replace(self.look, key_frame_age=self.head_age)

    def leads_to(self, frame: Frame) -> bool:
        """Whether a frame can go on from here: it is of the same size, and not much later."""
        is_soon = frame.timestamp_ms - self.timestamp_ms <= LONGEST_GAP_MS
        return is_soon and frame.size == self.frame_size

    def reaches(self, roi: Roi) -> bool:
        """Whether a region is where the person was: its centre lies in the last one."""
        return self.look.roi.contains(roi.center)

    def passed(self) -> Track:
        """Return the track after one more frame that no network saw."""
        return replace(self, unseen=self.unseen + 1)

    def carried_to(self, frame: Frame, keypoints: Keypoints) -> Track:
        """Return the track after a frame that joints (K, 3) were carried into."""
        return replace(self.passed(), timestamp_ms=frame.timestamp_ms, carried=keypoints)
