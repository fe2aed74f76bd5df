"""The crops of several people in one request to a remote head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from edgepose.remote.answer_pacing import AnswerPacing
from edgepose.remote.client import HeadConnection
from edgepose.remote.late_answers import NotSentError, RemoteHeadTracker
from edgepose_runtime.errors import EdgePoseError, ServerError, ServerFault
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.tensors import Array

#: Crops in one request, at most: as many as ``edgepose serve`` takes by default.
MOST_CROPS = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    feeds: Mapping[str, Array]
    answer: Future[dict[str, Array]] = field(default_factory=Future)


class JoinedRequests:
    """Requests for the people of one stream, of which those of one frame are sent together.

    A server that cannot take several crops at a time gets one with each request from then on. Not
    locked: for the thread that tracks.

    Args:
        head: connection of the stream.
    """

    def __init__(self, head: HeadConnection) -> None:
        self._head = head
        self._most = MOST_CROPS
        self._requests: list[_Request] = []
        self._pacing = AnswerPacing()

    @property
    def is_away(self) -> bool:
        """Whether the circuit breaker stops requests for now."""
        return self._head.is_away

    @property
    def wants_probe(self) -> bool:
        """Whether a request would show if the server is back; one a frame is enough."""
        return self._head.wants_probe and not self._requests

    def new_tracker(self, every: int | None) -> RemoteHeadTracker:
        """Return the requests and answers of one person; see :class:`HeadConnection`."""
        return self._head.new_tracker(every, self)

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Have a request sent with the others of the frame."""
        self._requests.append(_Request(feeds))
        return self._requests[-1].answer

    def send(self) -> None:
        """Send what was asked for since the last call, once a frame."""
        self._pacing.next_frame()
        requests, self._requests = self._requests, []
        most = self._most  # an answer may change it meanwhile
        for first in range(0, len(requests), most):
            self._send(requests[first : first + most])

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to the server since the last call, with the time of this frame."""
        return self._head.take_events(timestamp_ms)

    def _send(self, requests: Sequence[_Request]) -> None:
        names = requests[0].feeds
        feeds = {name: np.concatenate([each.feeds[name] for each in requests]) for name in names}
        try:
            answers = self._head.start(feeds)
        except EdgePoseError as error:  # too many are under way, or the tracker is being closed
            not_sent = NotSentError(str(error))
            not_sent.__cause__ = error
            _fail(requests, not_sent)
            return
        answers.add_done_callback(partial(self._answered, requests))

    def _answered(self, requests: Sequence[_Request], answers: Future[dict[str, Array]]) -> None:
        """Hand each request its part of the answer, a few a frame; on the network's thread."""
        error = answers.exception()
        if error is not None:
            if len(requests) > 1 and _refuses_batches(error):
                self._most = 1
            _fail(requests, error)
            return
        joined = answers.result()
        for index, request in enumerate(requests):
            own = {name: array[index : index + 1] for name, array in joined.items()}
            self._pacing.wait()
            request.answer.set_result(own)


def _refuses_batches(error: BaseException) -> bool:
    """Return whether a server that answers may be unable to take more than one crop."""
    return not isinstance(error, ServerError) or error.fault is ServerFault.BAD_ANSWER


def _fail(requests: Sequence[_Request], error: BaseException) -> None:
    for request in requests:
        request.answer.set_exception(error)
