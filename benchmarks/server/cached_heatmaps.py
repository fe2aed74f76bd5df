"""Networks that cache their outputs by picture, so that a sweep runs each of them once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.backends import Network
from edgepose_runtime.tensors import Array

Maps = NDArray[np.float32]


class CachedHeatmaps:
    """A function from a crop, uint8 (S, S, 3), to heat-maps (K, h, w), with a memory.

    Args:
        function: called for crops that are new.
        file: where the memory is kept from run to run; ``None`` for nowhere.
    """

    def __init__(self, function: Callable[[Array], Maps], file: Path | None) -> None:
        self._function = function
        self._file = file
        self._known: dict[str, Maps] = {}
        if file is not None and file.is_file():
            with np.load(file) as stored:
                self._known = dict(zip(stored["crops"].tolist(), stored["maps"], strict=True))

    def __call__(self, crop: Array) -> Maps:
        """Return the heat-maps, float32."""
        key = digest(crop)
        if key not in self._known:
            # Half precision moves joints by less than a thousandth of a pixel.
            self._known[key] = self._function(crop).astype(np.float16)
        return self._known[key].astype(np.float32)

    def save(self) -> None:
        """Keep the memory for the next run."""
        if self._file is not None and self._known:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._file, crops=list(self._known), maps=np.stack(list(self._known.values())))


class CachedStep(Network):
    """The graph ``step`` made of a body that remembers, and the graph ``propagate``."""

    def __init__(self, step: Network, propagate: Network, body: CachedHeatmaps) -> None:
        self._propagate = propagate
        self._body = body
        self.inputs, self.outputs = step.inputs, step.outputs
        self.device, self.precision = step.device, step.precision

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the same as the step itself."""
        preliminary = self._body(feeds["image"][0])[None]
        found = self._propagate.infer({"preliminary": preliminary, "previous": feeds["previous"]})
        return {"heatmaps": found["heatmaps"], "preliminary": preliminary}

    def close(self) -> None:
        """The graphs belong to others."""


def digest(crop: Array) -> str:
    """Return a name for a crop's content."""
    return hashlib.blake2b(crop.tobytes(), digest_size=12).hexdigest()
