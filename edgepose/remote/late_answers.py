"""The remote head of one stream: requests, late answers, and merging them into the track."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from edgepose.inference.estimator import Observation, StageClock
from edgepose.methods.base import Heatmaps, PropagatingMethod
from edgepose.remote.acceptance import rejection_reason
from edgepose.remote.propagation import (
    LEAST_TRUST,
    PropagatedAnswer,
    RememberedFrame,
    begin,
    correct_estimate,
    propagate_to,
)
from edgepose.remote.recorder import HeadRecorder
from edgepose.remote.request_policy import RequestPolicy
from edgepose.remote.settings import RemoteHead
from edgepose.remote.thumbnails import take_thumbnail
from edgepose.results import Origin
from edgepose.stats import LateReason
from edgepose.tracking.frame import Frame
from edgepose_runtime.errors import EdgePoseError, ServerError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.poses.roi_tracker import RoiTrackerSettings
from edgepose_runtime.tensors import Array

logger = logging.getLogger("edgepose")


class NotSentError(EdgePoseError):
    """A request was not sent after all; ``__cause__`` says why. The server is not at fault."""


class AsyncHead(Protocol):
    """A network that answers later, and what happens to its server."""

    @property
    def is_away(self) -> bool:
        """Whether it was given up for now."""

    @property
    def wants_probe(self) -> bool:
        """Whether a request would show if it is back."""

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Send a request; the future may be resolved on any thread.

        Raises:
            ServerError: it cannot be sent. Where that turns out later, the future fails with
                :class:`NotSentError`.
        """

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to the server since the last call, with the time of this frame."""


class RemoteHeadTracker:
    """Requests to a remote head, and its answers, for one stream.

    The thread that tracks calls all public methods. Answers arrive on other threads, which
    propagate them through the remembered frames while tracking goes on. When an answer has reached
    the last frame, the next step continues from it.

    Args:
        method: propagates heat-maps.
        network: the head: ``image`` to ``heatmaps``.
        settings: when to send requests.
        person_criteria: what counts as a person.
        every: send a request every N frames; ``None`` for only when there is a need.
        local: the bundle's own head steps in while the remote one is away.
        recorder: counts.
    """

    def __init__(
        self,
        method: PropagatingMethod,
        network: AsyncHead,
        settings: RemoteHead,
        *,
        person_criteria: RoiTrackerSettings,
        every: int | None,
        local: bool,
        recorder: HeadRecorder,
    ) -> None:
        self._method = method
        self._network = network
        self._person_criteria = person_criteria
        self._recorder = recorder
        self._local = local
        self._every = every
        self._rule = RequestPolicy(settings, every, person_criteria.score_threshold)
        self._lock = threading.Lock()
        self._frames: deque[RememberedFrame] = deque(maxlen=settings.remembered)
        self._number = 0
        self._track_begins = 0
        self._ready: PropagatedAnswer | None = None
        self._merged: PropagatedAnswer | None = None
        self._latest: RememberedFrame | None = (
            None  # the newest that a head processed in this track
        )
        self._failed = False
        self._light = True

    def use_light_network(self) -> bool:
        """Return whether the light network starts a track, rather than the bundle's own head."""
        self._light = not self._local_is_due
        return self._light

    def is_due(self, age: int | None) -> bool:  # noqa: ARG002 - HeadStrategy's signature
        """Whether the bundle's own head must step in: no other one answers."""
        return self._local_is_due

    @property
    def _local_is_due(self) -> bool:
        if not self._local or not (self._failed or self._network.is_away):
            return False
        latest = self._latest
        return latest is None or (
            self._every is not None and self._number - latest.number >= self._every
        )

    @property
    def pending(self) -> Observation | None:
        """What :meth:`merged` would return now."""
        with self._lock:
            return None if self._ready is None else self._ready.frame.observation

    def age_ms(self, timestamp_ms: float) -> float | None:
        """Return how old the head's last answer for this track is; ``None`` if there was none."""
        return None if self._latest is None else timestamp_ms - self._latest.timestamp_ms

    def forget_track(self) -> None:
        """Forget the person, as after a loss: later answers are about another person."""
        with self._lock:
            self._frames.clear()
            self._track_begins = self._number
            self._ready = None
            self._latest = None
        self._merged = None
        self._failed = False
        self._rule.forget_track()

    def merged(self) -> Observation | None:
        """Return the observation to continue from, if an answer is ready."""
        with self._lock:
            ready, self._ready = self._ready, None
            if ready is not None:
                self._latest = ready.asked
            frames = tuple(self._frames)
        if ready is None:
            return None
        for frame in frames:
            if frame.number > ready.frame.number:  # it was being tracked when the answer caught up
                ready = propagate_to(self._method, ready, frame)
        self._merged = ready
        return ready.frame.observation

    def corrected(self, observation: Observation, frame: Frame, clock: StageClock) -> Observation:
        """Return a frame's observation, corrected by the answer that was merged before.

        Without one, or once it is too old to be trusted, the observation comes back as it is.
        """
        with clock.stage("propagation"):
            last = self._merged
            if last is None or observation.estimate.origin is Origin.INITIALISED:
                self._merged = None
                return observation
            remembered = self._remembered(frame, observation)
            answer = correct_estimate(self._method, last, remembered, observation.estimate)
            self._merged = answer if answer.trust.max() >= LEAST_TRUST else None
            return answer.frame.observation

    def observed(self, frame: Frame, observation: Observation | None, *, continues: bool) -> None:
        """Remember a frame that answers are propagated through; send a request if it is due."""
        if observation is None or not continues:
            self.forget_track()
        if observation is not None:
            self._remember(frame, observation)

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to the server since the last call, with the time of this frame."""
        return self._network.take_events(timestamp_ms)

    def _remember(self, frame: Frame, observation: Observation) -> None:
        starts = observation.estimate.origin is Origin.INITIALISED
        if starts:
            self._merged = None
        remembered = self._remembered(frame, observation)
        with self._lock:
            self._frames.append(remembered)
            self._number += 1
            if starts and not self._light:  # the bundle's own head ran
                self._latest = remembered
        probe = self._network.wants_probe
        if self._rule.is_due(remembered.number, observation.keypoints, probe=probe):
            self._request(frame, remembered)

    def _remembered(self, frame: Frame, observation: Observation) -> RememberedFrame:
        known = self._merged
        if known is not None and known.frame.number == self._number:
            thumbnail = known.frame.thumbnail
        else:
            thumbnail = take_thumbnail(frame.image, observation.roi)
        return RememberedFrame(self._number, frame.timestamp_ms, observation, thumbnail)

    def _request(self, frame: Frame, remembered: RememberedFrame) -> None:
        era = self._recorder.add_request()
        crop = self._method.spec.view.crop(frame.image, remembered.observation.roi)
        try:
            future = self._network.start({"image": crop[None]})
        except EdgePoseError as error:  # too many are under way, or the tracker is being closed
            self._recorder.add_failed(era, _fault(error))
            return
        future.add_done_callback(partial(self._answered, era, remembered, time.monotonic()))

    def _answered(
        self, era: object, asked: RememberedFrame, sent: float, future: Future[dict[str, Array]]
    ) -> None:
        """Take in what came of a request; on the network's thread."""
        error = future.exception()
        if error is not None:
            self._failed = self._failed or not isinstance(error, NotSentError)
            self._recorder.add_failed(era, _fault(error))
            return
        self._failed = False
        self._recorder.add_answer(era, (time.monotonic() - sent) * 1e3)
        try:
            outcome = self._propagated(asked, future.result()["heatmaps"][0])
        except EdgePoseError:  # the model was closed meanwhile, or its network fails anyway
            outcome = LateReason.FAILED
        except Exception:  # the edge of the thread: logged, and counted as dropped
            logger.exception("A remote head's answer could not be propagated.")
            outcome = LateReason.FAILED
        if isinstance(outcome, LateReason):
            self._recorder.add_dropped(era, outcome)
        else:
            self._recorder.add_merged(era, outcome.frames_late)

    def _propagated(
        self, asked: RememberedFrame, heatmaps: Heatmaps
    ) -> PropagatedAnswer | LateReason:
        """Propagate an answer to the last frame of the track, for the next step to merge."""
        answer: PropagatedAnswer | None = None
        while True:
            with self._lock:
                step = self._next(asked, answer)
                if isinstance(step, PropagatedAnswer):
                    self._ready = step
            if not isinstance(step, RememberedFrame):
                return step
            answer = (
                begin(self._method, heatmaps, asked)
                if answer is None
                else propagate_to(self._method, answer, step)
            )

    def _next(
        self, asked: RememberedFrame, answer: PropagatedAnswer | None
    ) -> RememberedFrame | PropagatedAnswer | LateReason:
        """Return the next frame for an answer, the answer if up to date, or why it is dropped."""
        number = asked.number if answer is None else answer.frame.number + 1
        if asked.number < self._track_begins:
            return LateReason.TRACK_ENDED
        if self._is_superseded(asked):
            return LateReason.SUPERSEDED
        if number < self._frames[0].number:
            return LateReason.TOO_LATE
        if answer is None or number <= self._frames[-1].number:
            return self._frames[number - self._frames[0].number]
        return rejection_reason(answer, self._frames[-1], self._person_criteria) or answer

    def _is_superseded(self, asked: RememberedFrame) -> bool:
        ready = self._ready
        if ready is not None and ready.asked.number > asked.number:
            return True
        return self._latest is not None and self._latest.number > asked.number


def _fault(error: BaseException) -> str:
    if isinstance(error, NotSentError) and error.__cause__ is not None:
        error = error.__cause__
    return str(error.fault) if isinstance(error, ServerError) else type(error).__name__
