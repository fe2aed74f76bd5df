"""Selectors of key frames that were learned and exported: one ONNX file, run without torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgepose.keyframes.selecting import EvenSteps, Features, Selector, frames_at_even_steps
from edgepose.keyframes.windows import Describe, middle_square, thumbnail
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.closing import Closable
from edgepose_runtime.crop import Image
from edgepose_runtime.errors import BundleFormatError, BundleNotFoundError, ConfigError

#: What an exported selector takes, crops uint8 BGR (N, S, S, 3) of a window, and returns, (N,).
IMAGES, RATES = "images", "rates"
#: Where their number is free, so many frames have one key frame.
USUAL_GAP = 4.0


class LearnedSteps(Closable):
    """Puts key frames at even steps of a learned rate: the edge form of K-FPN.

    Args:
        path: what ``python -m edgepose_converters.selector`` wrote.
        backend: what runs it.
        num_threads: of one run.
        precision: of the layers that are not quantised; see :func:`edgepose.load`.

    Raises:
        BundleError: there is no such file, or it is no selector.
    """

    def __init__(
        self,
        path: Path,
        backend: str = "openvino",
        num_threads: int = 1,
        precision: str = "auto",
    ) -> None:
        if not path.is_file():
            raise BundleNotFoundError(f"There is no selector '{path}'; give an exported ONNX file.")
        settings = BackendSettings(num_threads=num_threads, precision=precision)
        self._network = get_backend(backend).load(path, settings=settings)
        given = self._network.inputs.get(IMAGES)
        if given is None or RATES not in self._network.outputs or len(given.shape) != 4:
            self._network.close()
            raise BundleFormatError(
                f"The file '{path}' is no selector of key frames: it should take '{IMAGES}' and "
                f"return '{RATES}'; make one with 'python -m edgepose_converters.selector'."
            )
        self._size = int(given.shape[1])

    def describe(self, image: Image) -> Features:
        """Return the part of a frame that the network sees; see `windows_of`."""
        return middle_square(image, self._size)

    def rates(self, features: Features) -> Features:
        """Return the rate of key frames (n,) in each of the frames described."""
        pixels = features.reshape(-1, self._size, self._size, 3).astype(np.uint8)
        return self._network.infer({IMAGES: pixels})[RATES]

    def __call__(self, features: Features, count: int | None = None) -> list[int]:
        """Return the key frames of a window; see `Selector`.

        Raises:
            ConfigError: there is no frame, or a count below 1.
            InferenceError: the network failed.
        """
        if not len(features) or (count is not None and count < 1):
            raise ConfigError(
                f"A selector cannot choose {count or 'some'} of {len(features)} frames."
            )
        wanted = count or max(1, round(len(features) / USUAL_GAP))
        if wanted >= len(features):
            return list(range(len(features)))
        return frames_at_even_steps(self.rates(features).astype(np.float64), wanted)

    def close(self) -> None:
        """Let go of the network."""
        self._network.close()


@contextmanager
def selection(path: Path | None) -> Iterator[tuple[Selector, Describe]]:
    """Open what chooses key frames, and what it compares frames by.

    Args:
        path: a learned selector, ``None`` for :class:`EvenSteps`.
    """
    if path is None:
        yield EvenSteps(), thumbnail
        return
    with LearnedSteps(path) as learned:
        yield learned, learned.describe
