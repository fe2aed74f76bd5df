"""One stream: who is followed in it, and from where the next frame goes on."""

from __future__ import annotations

from dataclasses import replace

from edgepose.inference.estimator import Image, Keypoints, Look, Looker
from edgepose.inference.model import PoseModel
from edgepose.inference.warming import warm_up_following, warm_up_looking
from edgepose.keyframes.live import Carried, LiveKeyFrames
from edgepose.regions import RoiLike, fixed_roi
from edgepose.remote import HeadLink, LateHead
from edgepose.results import Origin, PoseResult
from edgepose.stats import StageClock
from edgepose.tracking.deadline import Effort
from edgepose.tracking.motion_prediction import MotionPredictor
from edgepose.tracking.person_search import PersonSearch
from edgepose.tracking.smoothing import Steadier
from edgepose.tracking.track import Frame, Track
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import FollowingSettings, RoiFollower, is_nothing, is_person
from edgepose_runtime.poses.smoothing import OneEuroSettings

NOBODY_FOUND = "no person found"
NOBODY_IN_ROI = "no person in the given roi"
LOST = "person lost"
POSTPONED = "not looked at, to keep the deadline"


class PoseStream:
    """The state of one stream. Not for several threads at once.

    Every frame first does all that may fail, and only then changes the state: an error leaves the
    stream where it was.

    Args:
        model: its networks are shared with other streams.
        smoothing: how joints are smoothed in time, ``None`` for not at all.
        reinitialise_every: run the head every N frames; 0 for never, ``None`` for what the bundle
            recommends.
        key_frames: chooses the frames to look at; ``None`` to look at all.
        head: a remote head, in place of the bundle's own.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        smoothing: OneEuroSettings | None,
        reinitialise_every: int | None,
        key_frames: LiveKeyFrames | None = None,
        head: HeadLink | None = None,
    ) -> None:
        spec = model.method.spec
        self._skeleton = spec.skeleton
        if reinitialise_every is None:
            reinitialise_every = spec.reinitialise_every
        self._interval = reinitialise_every or None
        self._settings = FollowingSettings(score_threshold=spec.score_threshold)
        self._late = None if head is None else head.new_head(self._settings, self._interval)
        self._looker = Looker(model, None if self._late is None else self._late.starts_lightly)
        self._search = PersonSearch(self._looker, self._settings)
        self._follower = RoiFollower(self._settings)
        self._steadier = Steadier(smoothing)
        self._predictor = MotionPredictor()
        self._key_frames = key_frames
        self._track: Track | None = None

    @property
    def last_look(self) -> Look | None:
        """What the networks made of the last frame; ``None`` if none looked, or at nobody."""
        return self._track.look if self._track is not None and not self._track.unseen else None

    @property
    def awaited_look(self) -> Look | None:
        """What a remote head's answer makes of the last frame, before the next goes on from it."""
        return None if self._late is None else self._late.ready

    @property
    def is_tracking(self) -> bool:
        """Whether there is a pose to go on from."""
        return self._track is not None

    @property
    def head_is_due(self) -> bool:
        """Whether the next frame is one that the bundle's own head should look at."""
        if self._late is not None:
            return self._late.local_is_due
        if self._track is None or self._interval is None:
            return self._track is None
        return self._track.head_age + 1 >= self._interval

    def reset(self) -> None:
        """Forget the person."""
        self._search.reset()
        self._follower.reset()
        self._predictor.reset()
        self._track = None
        if self._late is not None:
            self._late.forget_track()
        if self._key_frames is not None:
            self._key_frames.reset()
        self._steadier.reset()

    def warmup(self) -> None:
        """Use every network and kernel once, on an empty picture."""
        warm_up_following(self._settings, warm_up_looking(self._looker))
        if self._key_frames is not None:
            self._key_frames.warmup()

    def process(
        self,
        image: Image,
        frame_id: int,
        timestamp_ms: float,
        roi: RoiLike | None,
        clock: StageClock,
        effort: Effort = Effort.FULL,
    ) -> PoseResult:
        """Estimate the pose in the next frame.

        Args:
            image: uint8 BGR (H, W, 3), contiguous.
            frame_id: number of the frame, for the result.
            timestamp_ms: when it was taken, after the frame before.
            roi: where to look, ``None`` to find and follow.
            clock: times the stages.
            effort: how much work the frame is worth.

        Raises:
            RoiError: the roi is no region of the frame.
            InferenceError: a network failed.
        """
        frame = Frame(image, frame_id, timestamp_ms)
        region = None if roi is None else fixed_roi(roi, frame.size)
        self._merge_late()
        carried = self._carry(frame, region, clock)
        if carried is not None and (effort is Effort.NONE or not self._is_key(carried)):
            with clock.stage("follow"):
                keypoints = self._commit_carried(frame, carried)
            return self._pose(frame, keypoints, Origin.PREDICTED, clock)
        if effort is Effort.NONE:
            return self._unseen(frame, clock)
        if region is None:
            look, miss = self._find_or_follow(frame, clock, effort)
        else:
            look, miss = self._look(frame, region, clock, effort), NOBODY_IN_ROI
        found = look is not None and self._shows_person(look)
        with clock.stage("follow"):
            if self._key_frames is not None:
                self._key_frames.looked(frame.image, look if found else None, carried)
            smoothed = self._commit(frame, look, found)
        if look is None or smoothed is None:
            return self._no_pose(frame, miss, None if look is None else look.roi, clock)
        return self._pose(frame, smoothed, look.estimate.origin, clock)

    def _pose(
        self, frame: Frame, keypoints: Keypoints, origin: Origin, clock: StageClock
    ) -> PoseResult:
        """Return the pose (K, 3) of the track's person in a frame."""
        track = self._require_track()
        return PoseResult(
            frame_id=frame.frame_id,
            timestamp_ms=frame.timestamp_ms,
            keypoints=keypoints,
            reason=None,
            roi=track.look.roi.as_tuple(),
            origin=origin,
            # With key frames, the last of those counts, not the head.
            key_frame_age=track.head_age if self._key_frames is None else track.unseen,
            latency=clock.latency(),
            skeleton=self._skeleton,
            head_age_ms=None if self._late is None else self._late.age_ms(frame.timestamp_ms),
        )

    def _no_pose(self, frame: Frame, reason: str, roi: Roi | None, clock: StageClock) -> PoseResult:
        return PoseResult(
            frame_id=frame.frame_id,
            timestamp_ms=frame.timestamp_ms,
            keypoints=None,
            reason=reason,
            roi=None if roi is None else roi.as_tuple(),
            origin=None,
            key_frame_age=None,
            latency=clock.latency(),
            skeleton=self._skeleton,
        )

    def _require_track(self) -> Track:
        if self._track is None:
            raise RuntimeError("A pose was carried on although there was none.")
        return self._track

    def _merge_late(self) -> None:
        """Go on from what a remote head said late about an earlier frame, if it is ready."""
        look = None if self._late is None else self._late.merged()
        if look is not None and self._track is not None:
            self._track = replace(self._track, look=look)

    def _unseen(self, frame: Frame, clock: StageClock) -> PoseResult:
        """Return the pose that is to be expected in a frame that no network looks at."""
        track = self._track
        with clock.stage("predict"):
            expects = track is not None and track.leads_to(frame)
            keypoints = self._predictor.predict(frame.timestamp_ms) if expects else None
        if track is not None:
            self._track = track.passed()
        if keypoints is None:
            return self._no_pose(frame, POSTPONED, None, clock)
        return self._pose(frame, keypoints, Origin.PREDICTED, clock)

    def _carry(self, frame: Frame, region: Roi | None, clock: StageClock) -> Carried | None:
        """Carry the last pose into a frame by the movement of the picture, if that is possible."""
        track = self._track
        if self._key_frames is None or track is None or not track.leads_to(frame):
            return None
        if region is not None and not track.reaches(region):
            return None
        with clock.stage("decide"):
            return self._key_frames.carry(frame.image)

    def _is_key(self, carried: Carried) -> bool:
        return carried.is_key or self.head_is_due

    def _commit_carried(self, frame: Frame, carried: Carried) -> Keypoints:
        """Make a frame that no network saw the last one; return its smoothed joints (K, 3)."""
        if self._key_frames is not None:
            self._key_frames.carried(carried)
        self._track = track = self._require_track().carried_to(frame, carried.keypoints)
        return self._steadier.apply(carried.keypoints, track.look.roi, frame.timestamp_ms)

    def _find_or_follow(
        self, frame: Frame, clock: StageClock, effort: Effort
    ) -> tuple[Look | None, str]:
        """Return the best look at a person there is, and what to say if it shows none."""
        self._follow_carried()
        roi = self._follower.next_roi(*frame.size)
        if roi is None:
            return self._search.find(frame.image, clock), NOBODY_FOUND
        look = self._look(frame, roi, clock, effort)
        if effort is Effort.FULL and is_nothing(look.keypoints, self._settings, look.roi.width):
            # As after a cut: waiting for the person to come back here would be in vain.
            return self._search.find(frame.image, clock) or look, LOST
        return look, LOST

    def _follow_carried(self) -> None:
        """Move the region to where the last frames' joints were carried, now that it is needed."""
        track = self._track
        if track is not None and track.carried is not None:
            self._track = replace(track, carried=None)
            self._follower.update(
                track.carried, *track.frame_size, track.timestamp_ms, track.look.roi.width
            )

    def _look(self, frame: Frame, roi: Roi, clock: StageClock, effort: Effort) -> Look:
        """Look at a region: go on from the last frame if that is possible, else start afresh."""
        last = self._last_look(frame, roi, effort)
        if last is not None:
            look = self._looker.advance(frame.image, roi, last, clock)
            if self._late is not None:
                with clock.stage("carry"):
                    look = self._late.sustained(frame.image, frame.timestamp_ms, look)
            if effort is Effort.LIGHT or self._shows_person(look):
                return look if self._key_frames is None else _as_key_frame(look)
        return self._looker.initialise(frame.image, roi, clock)

    def _last_look(self, frame: Frame, roi: Roi, effort: Effort) -> Look | None:
        """Return the look to go on from, unless there is none or it is time for the head."""
        track = self._track
        if track is None or not track.leads_to(frame):
            return None
        if effort is Effort.FULL and self.head_is_due:
            return None
        return track.aged_look if track.reaches(roi) else None

    def _shows_person(self, look: Look) -> bool:
        return is_person(look.keypoints, self._settings, look.roi.width)

    def _commit(self, frame: Frame, look: Look | None, found: bool) -> Keypoints | None:
        """Make this frame the last one; return the smoothed joints (K, 3) of a person."""
        if look is not None:
            self._follower.update(look.keypoints, *frame.size, frame.timestamp_ms, look.roi.width)
        if self._late is not None:
            self._remember(self._late, frame, look if found else None)
        if look is None or not found:
            if self._track is not None and self._track.frame_size == frame.size:
                self._search.expect(self._track.look.roi, frame.image)
            self._track = None
            self._predictor.reset()
            return None
        if self._track is None or not self._track.reaches(look.roi):
            self._predictor.reset()  # a jump is no movement
        self._track = Track.seen(frame, look)
        keypoints = self._steadier.apply(look.keypoints, look.roi, frame.timestamp_ms)
        self._predictor.update(keypoints, frame.timestamp_ms)
        return keypoints

    def _remember(self, late: LateHead, frame: Frame, look: Look | None) -> None:
        """Keep what a late answer must be carried through, if there still is a track."""
        if look is None:
            late.forget_track()
            return
        if self._track is None or not self._track.reaches(look.roi):
            late.forget_track()
        late.remember(frame.image, frame.timestamp_ms, look)


def _as_key_frame(look: Look) -> Look:
    return replace(look, estimate=replace(look.estimate, origin=Origin.KEY_FRAME))
