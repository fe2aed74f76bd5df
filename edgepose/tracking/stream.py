"""One stream: who is tracked in it, and from where the next frame continues."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from edgepose.inference.estimator import Keypoints, Observation, PoseEstimator, StageClock
from edgepose.inference.looks import Look
from edgepose.inference.model import PoseModel
from edgepose.results import Origin, PoseResult
from edgepose.tracking.deadline import Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.motion_prediction import MotionPredictor
from edgepose.tracking.search.person_search import NoSearch, PersonSearch
from edgepose.tracking.smoothing import OutsideJoints, PoseSmoother
from edgepose.tracking.strategies import (
    HeadStrategy,
    KeyFrameStrategy,
    LocalHead,
    NoKeyFrames,
    PendingFrame,
    PropagatedPose,
)
from edgepose.tracking.track import Track
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.roi import Roi, fixed_roi
from edgepose_runtime.poses.roi_tracker import RoiTracker
from edgepose_runtime.poses.smoothing import OneEuroSettings

NOBODY_FOUND = "no person found"
NOBODY_IN_ROI = "no person in the given roi"
LOST = "person lost"
POSTPONED = "not processed, to keep the deadline"
#: The best observation of a person there is, and the reason for no pose if it shows none.
Found = tuple[Observation | None, str]


class PoseStream:
    """The state of one stream. Not for several threads at once.

    Every frame first does all that may fail, and only then changes the state: an error leaves the
    stream where it was.

    Args:
        model: its networks are shared with other streams.
        smoothing: how joints are smoothed in time, ``None`` for not at all.
        head: when a heavy head runs; ``None`` for the bundle's own, as often as that recommends.
        key_frames: chooses the frames to process; ``None`` to process all.
        new_search: makes the search for a person who is not followed, :class:`NoSearch` where a
            frame's roi says where the person is.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        smoothing: OneEuroSettings | None = None,
        head: HeadStrategy | None = None,
        key_frames: KeyFrameStrategy | None = None,
        new_search: Callable[[PoseEstimator], PersonSearch | NoSearch] = PersonSearch,
    ) -> None:
        spec = model.method.spec
        self._skeleton = spec.skeleton
        self._head = head or LocalHead(spec.reinitialise_every)
        self._key_frames = key_frames or NoKeyFrames()
        self._estimator = PoseEstimator(model, self._head.use_light_network)
        criteria = self._estimator.criteria
        self._search = new_search(self._estimator)
        if isinstance(self._search, NoSearch):  # a doubtful joint may be that of a neighbour
            criteria = replace(criteria, region_score=1.0)
        self._roi_tracker = RoiTracker(criteria)
        self._smoother = PoseSmoother(smoothing, OutsideJoints(spec.skeleton))
        self._predictor = MotionPredictor()
        self._track: Track | None = None

    @property
    def next_roi(self) -> Roi | None:
        """The region around the person, to process next; ``None`` if nobody is tracked."""
        return self._roi_tracker.roi

    @property
    def last_observation(self) -> Observation | None:
        """Of the last frame; ``None`` if no network processed it, or nobody was found."""
        track = self._track
        return track.observation if track is not None and not track.skipped_frames else None

    @property
    def head_age(self) -> int | None:
        """Frames since a head ran; ``None`` if nobody is tracked."""
        return None if self._track is None else self._track.observation.key_frame_age

    @property
    def head_is_due(self) -> bool:
        """Whether the next frame is one for the bundle's own head."""
        return self._head.is_due(self.head_age)

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to a remote head since the last call."""
        return self._head.take_events(timestamp_ms)

    def reset(self) -> None:
        """Forget the person."""
        self._track = None
        self._head.forget_track()
        parts = self._search, self._roi_tracker, self._predictor, self._smoother, self._key_frames
        for part in parts:
            part.reset()

    def warmup(self) -> None:
        """Run every network and kernel once, on an empty picture."""
        self._estimator.warmup()
        self._key_frames.warmup()

    def process(self, frame: Frame, clock: StageClock, effort: Effort = Effort.FULL) -> PoseResult:
        """Estimate the pose in the next frame.

        Args:
            frame: after the frame before.
            clock: times the stages.
            effort: how much work the frame is worth.

        Raises:
            RoiError: the roi is no region of the frame.
            InferenceError: a network failed.
        """
        return self.finish(self.begin(frame, clock, effort), clock)

    def begin(self, frame: Frame, clock: StageClock, effort: Effort) -> PendingFrame:
        """Find out where the networks have to look in the next frame; see :meth:`process`."""
        roi = None if frame.roi is None else fixed_roi(frame.roi, frame.size)
        merged = self._head.merged()
        if merged is not None and self._track is not None:
            self._track = self._track.merged(merged)
        propagated = self._propagate(frame, roi, clock)
        if propagated is not None and (effort is Effort.SKIP or not propagated.is_key):
            result = self._skip_to(frame, propagated, clock)
            return PendingFrame(frame, effort, propagated, result=result)
        if effort is Effort.SKIP:
            return PendingFrame(frame, effort, result=self._predict(frame, clock))
        look = self._next_look(frame, roi, effort, propagated)
        return PendingFrame(frame, effort, propagated, look)

    def finish(self, pending: PendingFrame, clock: StageClock) -> PoseResult:
        """Estimate the pose in a frame that was begun, the last one; see :meth:`process`."""
        if pending.result is not None:
            return pending.result
        frame, propagated = pending.frame, pending.propagated
        found = self._search_or_track(pending, clock)
        observation = found[0]
        if observation is None or not observation.survey.is_person:
            return self._miss(frame, found, propagated, clock)
        roi = observation.roi
        start = time.perf_counter()
        keypoints = self._commit(frame, observation, propagated)
        clock.add("follow", start)
        age = 0 if self._key_frames.counts_age else observation.key_frame_age
        origin = observation.estimate.origin
        return self._result(frame, clock.latency(), roi, keypoints, origin, age)

    def _propagate(self, frame: Frame, roi: Roi | None, clock: StageClock) -> PropagatedPose | None:
        """Propagate the last pose into a frame by optical flow, where key frames are chosen."""
        track = self._track
        if not self._key_frames.counts_age or track is None or not track.can_continue_to(frame):
            return None
        if roi is not None and not track.contains_center(roi):
            return None
        with clock.stage("decide"):
            return self._key_frames.propagate(frame.image)

    def _skip_to(self, frame: Frame, propagated: PropagatedPose, clock: StageClock) -> PoseResult:
        """Return the propagated pose of a frame that no network processes."""
        if self._track is None:
            raise RuntimeError("A pose was propagated although there was none.")
        with clock.stage("follow"):
            self._key_frames.skipped(propagated)
            self._track = track = self._track.propagated_to(frame, propagated.keypoints)
            roi = track.observation.roi
            joints, at_ms = propagated.keypoints, frame.timestamp_ms
            keypoints = self._smoother.apply(joints, roi, at_ms, frame.size)
        return self._expected(frame, keypoints, track, clock)

    def _predict(self, frame: Frame, clock: StageClock) -> PoseResult:
        """Return the extrapolated pose of a frame that no network processes."""
        track = self._track
        with clock.stage("predict"):
            continues = track is not None and track.can_continue_to(frame)
            keypoints = self._predictor.predict(frame.timestamp_ms) if continues else None
        if track is not None:
            self._track = track = track.skipped()
        if track is None or keypoints is None:
            return self._result(frame, clock.latency(), None, reason=POSTPONED)
        return self._expected(frame, keypoints, track, clock)

    def _next_look(
        self, frame: Frame, given: Roi | None, effort: Effort, propagated: PropagatedPose | None
    ) -> Look | None:
        """Return where to look, continuing from the last frame if possible; ``None`` to search."""
        if given is None:
            self._follow_propagated()
            is_same_size = self._roi_tracker.frame_size == frame.size
            given = self._roi_tracker.roi if is_same_size else None
            if given is None:
                return None
        runs_head = effort is Effort.HEAD or (effort is Effort.FULL and self.head_is_due)
        track = None if runs_head else self._track
        last = None if track is None else track.observation_for(frame, given)
        followed = None if propagated is None else propagated.followed
        return Look(self._estimator, given, last, followed)

    def _search_or_track(self, pending: PendingFrame, clock: StageClock) -> Found:
        """Observe the region to look at, or search the frame."""
        frame, look = pending.frame, pending.look
        if look is None:
            return self._search.find(frame.image, clock), NOBODY_FOUND
        observation = self._observe(pending, look, clock)
        if frame.roi is not None:
            return observation, NOBODY_IN_ROI
        if pending.effort is not Effort.FULL or observation.survey.is_person:
            return observation, LOST
        # As after a cut: waiting for the person to come back here would be in vain.
        is_gone, image = observation.survey.is_empty_pose, frame.image
        found = self._search.find(image, clock, look.roi, everywhere=is_gone)
        return found or observation, LOST

    def _follow_propagated(self) -> None:
        """Move the region to where the last joints were propagated, now that it is needed."""
        track = self._track
        if track is not None and track.propagated is not None:
            self._track = replace(track, propagated=None)
            side = track.observation.roi.width
            self._roi_tracker.update(track.propagated, *track.frame_size, track.timestamp_ms, side)

    def _observe(self, pending: PendingFrame, look: Look, clock: StageClock) -> Observation:
        """Estimate the pose in a region, by the head if the light network sees nobody."""
        frame = pending.frame
        factor = self._search.score_factor(frame.roi)
        observation = look.observe(frame.image, clock, score_factor=factor)
        if look.last is None:
            return observation
        observation = self._head.corrected(observation, frame, clock)
        if pending.effort is Effort.LIGHT or observation.survey.is_person:
            return self._key_frames.as_key_frame(observation)
        return look.with_head().observe(frame.image, clock, score_factor=factor)

    def _commit(
        self, frame: Frame, observation: Observation, propagated: PropagatedPose | None
    ) -> Keypoints:
        """Make a frame with a person the last one; return the smoothed joints (K, 3)."""
        self._key_frames.observed(frame.image, observation, propagated)
        keypoints, roi = observation.keypoints, observation.roi
        self._update_roi_tracker(frame, observation)
        continues = self._track is not None and self._track.observation.roi.contains(roi.center)
        self._search.skipped()
        self._head.observed(frame, observation, continues=continues)
        if not continues:
            self._predictor.reset()  # a jump is no movement
        self._track = Track(observation, frame.size, frame.timestamp_ms)
        smoothed = self._smoother.apply(keypoints, roi, frame.timestamp_ms, frame.size)
        self._predictor.update(smoothed, frame.timestamp_ms)
        return smoothed

    def _miss(
        self, frame: Frame, found: Found, propagated: PropagatedPose | None, clock: StageClock
    ) -> PoseResult:
        """Make a frame without a person the last one; return its result."""
        observation, reason = found
        with clock.stage("follow"):
            self._key_frames.observed(frame.image, None, propagated)
            if observation is not None:
                self._update_roi_tracker(frame, observation)
            self._head.observed(frame, None, continues=False)
            if self._track is not None and self._track.frame_size == frame.size:
                self._search.expect(self._track.observation.roi, frame.image)
            self._track = None
            self._predictor.reset()
        roi = None if observation is None else observation.roi
        return self._result(frame, clock.latency(), roi, reason=reason)

    def _update_roi_tracker(self, frame: Frame, seen: Observation) -> None:
        self._roi_tracker.update(
            seen.keypoints, *frame.size, frame.timestamp_ms, seen.roi.width, seen.survey
        )

    def _expected(
        self, frame: Frame, keypoints: Keypoints, track: Track, clock: StageClock
    ) -> PoseResult:
        """Return the result of a frame that no network processed."""
        observation, roi = track.observation, track.observation.roi
        age = track.skipped_frames if self._key_frames.counts_age else observation.key_frame_age
        return self._result(frame, clock.latency(), roi, keypoints, Origin.PREDICTED, age)

    def _result(
        self,
        frame: Frame,
        latency: dict[str, float],
        roi: Roi | None,
        keypoints: Keypoints | None = None,
        origin: Origin | None = None,
        age: int | None = None,
        reason: str | None = None,
    ) -> PoseResult:
        return PoseResult(
            frame_id=frame.frame_id,
            timestamp_ms=frame.timestamp_ms,
            keypoints=keypoints,
            reason=reason,
            roi=None if roi is None else (roi.x, roi.y, roi.width, roi.height),
            origin=origin,
            key_frame_age=age,
            latency=latency,
            skeleton=self._skeleton,
            head_age_ms=None if keypoints is None else self._head.age_ms(frame.timestamp_ms),
        )
