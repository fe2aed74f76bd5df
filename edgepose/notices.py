"""What a stream has to tell the user, on its way to the callbacks."""

from __future__ import annotations

from dataclasses import dataclass

from edgepose.results import PoseResult
from edgepose.streaming.flow_control import FrameDrop
from edgepose_runtime.events import StreamEvent


@dataclass(frozen=True, slots=True, eq=False)
class TrackingFailure:
    """An error that no caller could be told by raising it.

    Attributes:
        error: what was raised.
        frame_id: the frame that it cost; ``None`` if it cost none.
        timestamp_ms: when that frame was taken, ``None`` if there is no frame or no valid time.
        callback: the callback that raised it, such as ``"on_result"``; ``None`` if it was not one.
    """

    error: Exception
    frame_id: int | None = None
    timestamp_ms: float | None = None
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """There will be no more frames, and all were reported.

    Attributes:
        error: why the source ended, ``None`` if it simply did.
    """

    error: Exception | None = None


Notice = PoseResult | FrameDrop | TrackingFailure | StreamEvent | StreamEnd
