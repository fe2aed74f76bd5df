"""Selectors of key frames that were learned and exported: one ONNX file, run without torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgepose.offline.selection import (
    ChangeSelector,
    Features,
    Selector,
    frames_by_rates,
    require_frames,
)
from edgepose.offline.windows import Describe, middle_square, thumbnail
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import (
    BackendError,
    BackendUnavailableError,
    BundleFormatError,
    BundleNotFoundError,
    DeviceError,
    InferenceError,
)
from edgepose_runtime.geometry.crop import Image

#: What an exported selector takes, crops uint8 BGR (N, S, S, 3) of a window, and returns, (N,).
IMAGES, RATES = "images", "rates"
_MAKE_ONE = "make one with 'edgepose convert CHECKPOINT FILE --to selector'"


class LearnedSelector(Closable):
    """Selects key frames at even steps of a learned rate: the edge form of K-FPN.

    Args:
        path: an ONNX file of ``edgepose convert --to selector``.
        backend: what runs it.
        num_threads: of one run.
        precision: of the layers that are not quantised; see :func:`edgepose.load`.

    Raises:
        BundleError: there is no such file, or it is no selector.
        BackendError: the backend's package is missing, or it does not compute in that precision.
        ConfigError: there is no such backend.
    """

    def __init__(
        self,
        path: Path,
        backend: str = "openvino",
        num_threads: int = 1,
        precision: str = "auto",
    ) -> None:
        self._path = path
        settings = BackendSettings(num_threads=num_threads, precision=precision)
        self._network = _load(path, backend, settings)
        if not _is_selector(self._network):
            self._network.close()
            raise BundleFormatError(
                f"The file '{path}' is no selector of key frames: it should take '{IMAGES}', "
                f"uint8 (N, S, S, 3), and return '{RATES}', float32 (N,); {_MAKE_ONE}."
            )
        self._size = int(self._network.inputs[IMAGES].shape[1])

    def describe(self, image: Image) -> Features:
        """Return the part of a frame that the network sees; see `windows_of`."""
        return middle_square(image, self._size)

    def rates(self, features: Features) -> Features:
        """Return the rate of key frames (n,), 0 or more, in each of the frames described.

        Raises:
            InferenceError: the network failed, or what it returned are no rates.
        """
        pixels = features.reshape(-1, self._size, self._size, 3).astype(np.uint8)
        rates: Features = self._network.infer({IMAGES: pixels})[RATES]
        if rates.shape != (len(pixels),) or not np.isfinite(rates).all() or (rates < 0).any():
            raise InferenceError(
                f"The selector '{self._path}' should return {len(pixels)} rates of 0 or more, but "
                f"returned {rates.shape} with values that are no rates; {_MAKE_ONE}."
            )
        return rates

    def __call__(self, features: Features, count: int | None = None) -> list[int]:
        """Return the key frames of a window; see `Selector`.

        Raises:
            ConfigError: there is no frame, or a count below 1.
            InferenceError: the network failed, or what it returned are no rates.
        """
        require_frames(len(features), count)
        return frames_by_rates(self.rates(features), count)

    def close(self) -> None:
        """Release the network."""
        self._network.close()


@contextmanager
def selection(path: Path | None) -> Iterator[tuple[Selector, Describe]]:
    """Open what chooses key frames, and what it compares frames by.

    Args:
        path: a learned selector, ``None`` for :class:`ChangeSelector`.

    Raises:
        BundleError: there is no such file, or it is no selector.
    """
    if path is None:
        yield ChangeSelector(), thumbnail
        return
    with LearnedSelector(path) as learned:
        yield learned, learned.describe


def _load(path: Path, backend: str, settings: BackendSettings) -> Network:
    if not path.is_file():
        raise BundleNotFoundError(f"There is no selector '{path}'; give an exported ONNX file.")
    try:
        return get_backend(backend).load(path, settings=settings)
    except (BackendUnavailableError, DeviceError):
        raise
    except BackendError as error:
        # What the backends say of such a file is many lines long, and names their own sources.
        raise BundleFormatError(
            f"The selector '{path}' is no ONNX file that {backend} can run, or is cut off; "
            f"{_MAKE_ONE}."
        ) from error


def _is_selector(network: Network) -> bool:
    given, returned = network.inputs.get(IMAGES), network.outputs.get(RATES)
    if given is None or returned is None or len(network.inputs) > 1:
        return False
    if given.dtype != "uint8" or len(given.shape) != 4 or len(returned.shape) != 1:
        return False
    _, height, width, channels = given.shape
    return isinstance(height, int) and height == width and channels == 3
