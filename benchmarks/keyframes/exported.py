"""The exported selector: which frames it chooses, and what that costs."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.keyframes.poses import FrameWisePoses
from edgepose.offline.learned_selector import LearnedSelector
from edgepose_runtime.closable import Closable

#: Windows that the cost is the median of, each of so many frames.
WINDOWS, LENGTH = 25, 40


class Exported(Closable):
    """Chooses key frames by an ONNX file.

    Args:
        path: an ONNX file of ``edgepose convert --to selector``.
        backend: what runs it, on one thread.
    """

    name = "K-FPN, edge, exported"

    def __init__(self, path: Path, backend: str = "openvino") -> None:
        self._learned = LearnedSelector(path, backend)
        self._kept: dict[str, NDArray[np.floating]] = {}

    def choose(self, clip: FrameWisePoses, count: int) -> list[int]:
        """Choose so many frames."""
        name = clip.clip.name
        if name not in self._kept:
            self._kept[name] = np.stack([self._learned.describe(f) for f in clip.clip.frames()])
        return self._learned(self._kept[name], count)

    def close(self) -> None:
        """Release the network."""
        self._learned.close()

    def cost(self) -> float:
        """Return the microseconds per frame, cropping included: the median over windows."""
        frames = np.random.default_rng(0).integers(0, 255, (LENGTH, 240, 320, 3), np.uint8)
        taken = []
        for _ in range(WINDOWS):
            start = time.perf_counter()
            self._learned(np.stack([self._learned.describe(frame) for frame in frames]), 10)
            taken.append(time.perf_counter() - start)
        return 1e6 * median(taken) / LENGTH


def cost_table(path: Path) -> dict[str, float]:
    """Return the microseconds per frame on one thread, by backend."""
    costs = {}
    for backend in ("openvino", "onnxruntime"):
        with Exported(path, backend) as exported:
            costs[backend] = exported.cost()
    return costs
