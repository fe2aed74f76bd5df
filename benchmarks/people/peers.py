"""What else follows several people: a detector on every frame, RTMPose-s, and a known tracker.

The tracker is one of the package ``trackers`` (Roboflow, Apache-2.0). It gets the boxes of the
finished poses with the scores of the detections, which serves it better than the detected boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.benchmarking.peers import choose_peers
from edgepose.benchmarking.peers.rtmpose import RtmPose
from edgepose.evaluation.protocols.several import IdentifiedPose, PeopleCandidate, pose_box
from edgepose.inference.model import PoseModel
from edgepose.inference.person_detector import PersonDetector
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.errors import BackendUnavailableError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import HALPE26, Skeleton

#: Boxes of a lower score are not looked at; those from the second on may be somebody new.
LOW_SCORE, HIGH_SCORE = 0.25, 0.5
TRACKERS = ("ByteTrackTracker", "SORTTracker")


def new_tracker(name: str, fps: float) -> Any:
    """Return a tracker of the package ``trackers`` for boxes.

    Raises:
        BackendUnavailableError: the package is not installed.
    """
    try:
        import trackers
    except ImportError as error:
        raise BackendUnavailableError(
            f'The package trackers is missing ({error}): pip install "edgepose[peers]"'
        ) from error
    options: dict[str, Any] = {"frame_rate": fps, "track_activation_threshold": HIGH_SCORE}
    if name == "ByteTrackTracker":
        options["high_conf_det_threshold"] = HIGH_SCORE
    return getattr(trackers, name)(**options)


class DetectedPeople:
    """Follows everybody in one video by detections, poses and boxes.

    Args:
        detector: finds people in every frame.
        pose: estimates the pose in each box.
        tracker: gives identities to boxes; see :func:`new_tracker`.
        skeleton: to give poses in.
    """

    def __init__(
        self, detector: PersonDetector, pose: RtmPose, tracker: Any, skeleton: Skeleton
    ) -> None:
        self._detector = detector
        self._pose = pose
        self._tracker = tracker
        self._skeleton = skeleton

    def track(self, frame: NDArray[np.uint8], timestamp_ms: float) -> Sequence[IdentifiedPose]:  # noqa: ARG002 - PeopleTracker's signature
        """Return everybody in the next frame."""
        boxes = self._detector.detect(frame, LOW_SCORE)
        poses = [self._pose(frame, _region(box)) for box in boxes]
        found = [(pose, pose_box(pose), box[4]) for pose, box in zip(poses, boxes, strict=True)]
        ids = self._identities([(box, score) for _, box, score in found if box is not None])
        kept = [pose for pose, box, _ in found if box is not None]
        return [
            (person, convert_keypoints(kept[index], HALPE26, self._skeleton))
            for index, person in ids
        ]

    def close(self) -> None:
        """Do nothing: the networks are shared."""

    def _identities(
        self, boxes: Sequence[tuple[NDArray[np.float64], float]]
    ) -> list[tuple[int, int]]:
        """Return (index, identity) of the boxes that have one."""
        import supervision

        detections = supervision.Detections(
            xyxy=np.array([box for box, _ in boxes]).reshape(-1, 4),
            confidence=np.array([score for _, score in boxes]),
            data={"index": np.arange(len(boxes))},
        )
        tracked = self._tracker.update(detections)
        pairs = zip(tracked.data.get("index", ()), tracked.tracker_id, strict=True)
        return [(int(index), int(person)) for index, person in pairs if person >= 0]


def peer_candidates(
    model: PoseModel, weights: Path | None, num_threads: int, fps: float
) -> list[PeopleCandidate]:
    """Return one candidate for each tracker, with the detector of a bundle.

    Raises:
        BackendUnavailableError: the package ``trackers`` is not installed.
        DataError: there are no weights of RTMPose-s.
    """
    (peer,) = choose_peers(["rtmpose"])
    file = peer.require_weights(weights)
    settings = BackendSettings(num_threads=num_threads, batch=1)
    for name in TRACKERS:
        new_tracker(name, fps)
    network = get_backend("openvino").load(file, settings=settings)

    def new(name: str) -> DetectedPeople:
        detector = PersonDetector(*model.detector())
        return DetectedPeople(detector, RtmPose(network), new_tracker(name, fps), model.skeleton)

    candidates: list[tuple[str, Callable[[], DetectedPeople]]] = [
        (f"RTMDet-nano + RTMPose-s + {name.removesuffix('Tracker')}", partial(new, name))
        for name in TRACKERS
    ]
    return [PeopleCandidate(label, make) for label, make in candidates]


def _region(box: NDArray[np.float64]) -> Roi:
    left, top, right, bottom = box[:4].tolist()
    return Roi(left, top, right - left, bottom - top)
