"""The head of one stream that answers late: asked, waited for without waiting, merged."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from edgepose.inference.estimator import Image, Look
from edgepose.methods.base import CarryingMethod, Heatmaps
from edgepose.remote.acceptance import objection
from edgepose.remote.propagation import LEAST_TRUST, Carried, Frame, begin, carry_on, sustain
from edgepose.remote.recorder import HeadRecorder, LateReason
from edgepose.remote.request_policy import AskingRule
from edgepose.remote.settings import RemoteHead
from edgepose.remote.thumbnails import take_picture
from edgepose.results import Origin
from edgepose_runtime.errors import EdgePoseError, ServerError
from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.poses.roi_tracker import FollowingSettings
from edgepose_runtime.tensors import Array

logger = logging.getLogger("edgepose")


class AnsweringLate(Protocol):
    """A network that answers later."""

    @property
    def is_away(self) -> bool:
        """Whether it was given up for now."""

    @property
    def wants_probe(self) -> bool:
        """Whether a request would show if it is back."""

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Send a request; the future may be resolved on any thread.

        Raises:
            ServerError: it cannot be sent.
        """


class LateHead:
    """What a stream knows of its remote head.

    The thread that tracks calls all public methods; answers come on other threads, which carry
    them through the frames that are remembered while tracking goes on. Only when an answer has
    caught up with the last frame does the next step find it: it takes it as what to go on from.

    Args:
        method: carries heat-maps on.
        network: the head: ``image`` to ``heatmaps``.
        settings: when to ask.
        following: what counts as a person.
        every: ask every N frames; ``None`` for only when there is a need.
        local: the bundle's own head steps in while the remote one is away.
        recorder: counts.
    """

    def __init__(
        self,
        method: CarryingMethod,
        network: AnsweringLate,
        settings: RemoteHead,
        *,
        following: FollowingSettings,
        every: int | None,
        local: bool,
        recorder: HeadRecorder,
    ) -> None:
        self._method = method
        self._network = network
        self._following = following
        self._recorder = recorder
        self._local = local
        self._every = every
        self._rule = AskingRule(settings, every, following.score_threshold)
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque(maxlen=settings.remembered)
        self._number = 0
        self._track_begins = 0
        self._ready: Carried | None = None
        self._carried: Carried | None = None
        self._latest: Frame | None = None  # the newest that a head looked at in this track
        self._failed = False
        self._light = True

    def starts_lightly(self) -> bool:
        """Return whether the light network starts a track, rather than the bundle's own head."""
        self._light = not self.local_is_due
        return self._light

    @property
    def local_is_due(self) -> bool:
        """Whether the bundle's own head must step in: no other one answers."""
        if not self._local or not (self._failed or self._network.is_away):
            return False
        latest = self._latest
        return latest is None or (
            self._every is not None and self._number - latest.number >= self._every
        )

    @property
    def ready(self) -> Look | None:
        """What :meth:`merged` would return now."""
        with self._lock:
            return None if self._ready is None else self._ready.frame.look

    def age_ms(self, timestamp_ms: float) -> float | None:
        """Return how old the head's last word on this track is; ``None`` if there was none."""
        return None if self._latest is None else timestamp_ms - self._latest.timestamp_ms

    def forget_track(self) -> None:
        """Let go of the person, as after a loss: answers that come are about somebody else."""
        with self._lock:
            self._frames.clear()
            self._track_begins = self._number
            self._ready = None
            self._latest = None
        self._carried = None
        self._failed = False
        self._rule.forget_track()

    def merged(self) -> Look | None:
        """Return the look that the next frame should go on from, if an answer is ready."""
        with self._lock:
            ready, self._ready = self._ready, None
            if ready is not None:
                self._latest = ready.asked
            frames = tuple(self._frames)
        if ready is None:
            return None
        for frame in frames:
            if frame.number > ready.frame.number:  # it was in work when the answer caught up
                ready = carry_on(self._method, ready, frame)
        self._carried = ready
        return ready.frame.look

    def sustained(self, image: Image, timestamp_ms: float, look: Look) -> Look:
        """Keep up the trust in the head's last word, if it was merged and is still worth it.

        Args:
            image: the frame.
            timestamp_ms: when it was taken.
            look: what the method made of it, going on from the last look.
        """
        last = self._carried
        if last is None or look.estimate.origin is Origin.INITIALISED:
            self._carried = None
            return look
        frame = self._frame(image, timestamp_ms, look)
        carried = sustain(self._method, last, frame, look.estimate)
        self._carried = carried if carried.trust.max() >= LEAST_TRUST else None
        return carried.frame.look

    def remember(self, image: Image, timestamp_ms: float, look: Look) -> None:
        """Keep what an answer must be carried through, and ask about this frame if that is due.

        Args:
            image: the frame.
            timestamp_ms: when it was taken.
            look: with the person.
        """
        starts = look.estimate.origin is Origin.INITIALISED
        if starts:
            self._carried = None
        frame = self._frame(image, timestamp_ms, look)
        with self._lock:
            self._frames.append(frame)
            self._number += 1
            if starts and not self._light:  # the bundle's own head looked
                self._latest = frame
        probe = self._network.wants_probe
        if self._rule.is_due(frame.number, look.keypoints, probe=probe):
            self._ask(image, frame)

    def _frame(self, image: Image, timestamp_ms: float, look: Look) -> Frame:
        known = self._carried
        if known is not None and known.frame.number == self._number:
            return Frame(self._number, timestamp_ms, look, known.frame.picture)
        return Frame(self._number, timestamp_ms, look, take_picture(image, look.roi))

    def _ask(self, image: Image, frame: Frame) -> None:
        era = self._recorder.add_request()
        crop = crop_frame(image, frame.look.roi, self._method.spec.input_size)
        try:
            future = self._network.start({"image": crop[None]})
        except EdgePoseError as error:  # too many are under way, or the tracker is being closed
            self._recorder.add_failed(era, _fault(error))
            return
        future.add_done_callback(partial(self._answered, era, frame, time.monotonic()))

    def _answered(
        self, era: object, asked: Frame, sent: float, future: Future[dict[str, Array]]
    ) -> None:
        """Take in what came of a request; on the network's thread."""
        error = future.exception()
        if error is not None:
            self._failed = True
            self._recorder.add_failed(era, _fault(error))
            return
        self._failed = False
        self._recorder.add_answer(era, (time.monotonic() - sent) * 1e3)
        try:
            outcome = self._caught_up(asked, future.result()["heatmaps"][0])
        except EdgePoseError:  # the model was closed meanwhile, or its network fails anyway
            outcome = LateReason.FAILED
        except Exception:  # the edge of the thread: logged, and counted as dropped
            logger.exception("A remote head's answer could not be carried on.")
            outcome = LateReason.FAILED
        if isinstance(outcome, LateReason):
            self._recorder.add_dropped(era, outcome)
        else:
            self._recorder.add_merged(era, outcome.frames_late)

    def _caught_up(self, asked: Frame, heatmaps: Heatmaps) -> Carried | LateReason:
        """Carry an answer on until it is up with the track; leave it there for the next step."""
        carried: Carried | None = None
        while True:
            with self._lock:
                step = self._next(asked, carried)
                if isinstance(step, Carried):
                    self._ready = step
            if not isinstance(step, Frame):
                return step
            carried = (
                begin(self._method, heatmaps, asked)
                if carried is None
                else carry_on(self._method, carried, step)
            )

    def _next(self, asked: Frame, carried: Carried | None) -> Frame | Carried | LateReason:
        """Return the frame to carry an answer into next, itself if up, or why it is dropped."""
        number = asked.number if carried is None else carried.frame.number + 1
        if asked.number < self._track_begins:
            return LateReason.TRACK_ENDED
        if self._is_superseded(asked):
            return LateReason.SUPERSEDED
        if number < self._frames[0].number:
            return LateReason.TOO_LATE
        if carried is None or number <= self._frames[-1].number:
            return self._frames[number - self._frames[0].number]
        return objection(carried, self._frames[-1], self._following) or carried

    def _is_superseded(self, asked: Frame) -> bool:
        ready = self._ready
        if ready is not None and ready.asked.number > asked.number:
            return True
        return self._latest is not None and self._latest.number > asked.number


def _fault(error: BaseException) -> str:
    return str(error.fault) if isinstance(error, ServerError) else type(error).__name__
