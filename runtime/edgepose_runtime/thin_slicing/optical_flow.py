"""Dense optical flow between two crops."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError

Image = NDArray[np.uint8]
Flow = NDArray[np.float32]

OpticalFlow = Callable[[Image, Image], Flow]
"""Takes two grey crops uint8 (s, s), the receiver's first. Returns float32 (s, s, 2): for each
pixel of the first the way (x, y) in pixels to where the same thing is in the second."""

#: A way there and back again that misses by more than this, in pixels, plus
#: ``RELATIVE_MISS`` of the way, is not to be trusted (Sundaram, Brox and Keutzer, 2010).
LARGEST_MISS = 1.0
RELATIVE_MISS = 0.1


class DisFlow:
    """Dense inverse search (Kroeger et al., 2016) as OpenCV has it. For one thread at a time."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def __call__(self, receiver: Image, sender: Image) -> Flow:
        """Return the flow; see ``OpticalFlow``."""
        first, second = np.ascontiguousarray(receiver), np.ascontiguousarray(sender)
        start = np.zeros((*receiver.shape, 2), np.float32)
        return np.asarray(self._search.calc(first, second, start), np.float32)


class FarnebackFlow:
    """Farneback's polynomial expansion (2003) as OpenCV has it."""

    def __call__(self, receiver: Image, sender: Image) -> Flow:
        """Return the flow; see ``OpticalFlow``."""
        start = np.zeros((*receiver.shape, 2), np.float32)
        flow = cv2.calcOpticalFlowFarneback(receiver, sender, start, 0.5, 3, 15, 3, 5, 1.2, 0)
        return np.asarray(flow, np.float32)


class NoFlow:
    """Nothing moves: neighbours are compared cell by cell."""

    def __call__(self, receiver: Image, sender: Image) -> Flow:  # noqa: ARG002 - as OpticalFlow
        """Return zeros; see ``OpticalFlow``."""
        return np.zeros((*receiver.shape, 2), np.float32)


_FLOWS: dict[str, Callable[[], OpticalFlow]] = {
    "dis": DisFlow,
    "farneback": FarnebackFlow,
    "none": NoFlow,
}


def optical_flow(name: str) -> OpticalFlow:
    """Return a new flow by name: dis, farneback or none.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in _FLOWS:
        raise ConfigError(f"There is no optical flow {name!r}; there is {', '.join(_FLOWS)}.")
    return _FLOWS[name]()


def consistent(there: Flow, back: Flow) -> NDArray[np.bool_]:
    """Return where (h, w) the flow there and the flow back end about where they began.

    Args:
        there: (h, w, 2) from the receiver to the sender, in pixels.
        back: (h, w, 2) from the sender to the receiver.
    """
    rows, columns = np.indices(there.shape[:2], np.float32)
    x, y = columns + there[..., 0], rows + there[..., 1]
    returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    miss = np.linalg.norm(there + returned, axis=-1)
    way = np.linalg.norm(there, axis=-1) + np.linalg.norm(returned, axis=-1)
    return np.asarray(miss <= LARGEST_MISS + RELATIVE_MISS * way)
