"""What a stream continues from: the last frame that showed a person."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgepose.inference.estimator import Keypoints, Observation
from edgepose.tracking.frame import Frame
from edgepose_runtime.geometry.roi import Roi

#: After a longer gap between two frames the pose is not propagated: the head starts anew.
LONGEST_GAP_MS = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The last frame that showed a person, and what happened to the pose since.

    Attributes:
        observation: what the networks last saw of the person, at its present age.
        frame_size: (width, height) in pixels.
        timestamp_ms: when the person was last seen, or the pose propagated.
        skipped_frames: frames since that no network processed.
        propagated: joints float32 (K, 3) that were propagated through those, where the region to
            process has not followed them yet.
    """

    observation: Observation
    frame_size: tuple[int, int]
    timestamp_ms: float
    skipped_frames: int = 0
    propagated: Keypoints | None = None

    def can_continue_to(self, frame: Frame) -> bool:
        """Whether a frame can follow: it is of the same size, and not much later."""
        is_soon = frame.timestamp_ms - self.timestamp_ms <= LONGEST_GAP_MS
        return is_soon and frame.size == self.frame_size

    def contains_center(self, roi: Roi) -> bool:
        """Whether the centre of a region lies in the person's last region."""
        return self.observation.roi.contains(roi.center)

    def observation_for(self, frame: Frame, roi: Roi) -> Observation | None:
        """Return the observation to continue from in a region of a frame.

        ``None`` if the frame cannot follow, or the region is elsewhere.
        """
        continues = self.can_continue_to(frame) and self.contains_center(roi)
        return self.observation if continues else None

    def merged(self, observation: Observation) -> Track:
        """Return the track that continues from another observation of the last processed frame."""
        age = observation.key_frame_age + self.skipped_frames
        return replace(self, observation=replace(observation, key_frame_age=age))

    def skipped(self) -> Track:
        """Return the track after one more frame that no network processed."""
        age = self.observation.key_frame_age + 1
        observation = replace(self.observation, key_frame_age=age)
        return replace(self, observation=observation, skipped_frames=self.skipped_frames + 1)

    def propagated_to(self, frame: Frame, keypoints: Keypoints) -> Track:
        """Return the track after a frame that joints (K, 3) were propagated into."""
        return replace(self.skipped(), timestamp_ms=frame.timestamp_ms, propagated=keypoints)
