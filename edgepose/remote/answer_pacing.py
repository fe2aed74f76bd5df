"""The pace at which answers of a remote head for several people are propagated."""

from __future__ import annotations

import threading

#: So many answers are propagated per frame, at most: each is propagated through all frames since
#: its request, which takes time from tracking.
ANSWERS_PER_FRAME = 4
#: If no frame comes for so long, in seconds, tracking has time to spare.
LONGEST_WAIT_S = 0.1


class AnswerPacing:
    """Lets a few answers pass per frame.

    Args:
        per_frame: how many.
        longest_wait_s: the longest wait for the next frame.
    """

    def __init__(
        self, per_frame: int = ANSWERS_PER_FRAME, longest_wait_s: float = LONGEST_WAIT_S
    ) -> None:
        self._per_frame = self._left = per_frame
        self._longest_wait_s = longest_wait_s
        self._changed = threading.Condition()
        self._tracking: int | None = None

    def next_frame(self) -> None:
        """Let as many pass again; on the thread that tracks."""
        with self._changed:
            self._tracking, self._left = threading.get_ident(), self._per_frame
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until one more may pass, on the thread that propagates it."""
        if threading.get_ident() == self._tracking:
            return  # a request that was answered at once: tracking cannot wait for itself
        with self._changed:
            if not self._changed.wait_for(lambda: self._left > 0, self._longest_wait_s):
                self._left = self._per_frame
            self._left -= 1
