"""What a network takes and returns: names, types and shapes of its tensors, and the check of feeds.

Shared by the manifest of a bundle and by the backends, so that both say the same of a graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import InferenceError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a network.

    Attributes:
        name: the tensor's name in the graph.
        dtype: NumPy's name of its type, such as ``"float32"``.
        shape: its dimensions; a text such as ``"N"`` stands for one that is free, and dimensions
            of one text are equal.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join(str(dimension) for dimension in self.shape)})"

    def accepts(self, array: Array, free: dict[str, int]) -> bool:
        """Return whether an array is such a tensor.

        ``free`` holds the free dimensions met so far and takes up those of this tensor.
        """
        if array.dtype != self.dtype or array.ndim != len(self.shape):
            return False
        for wanted, size in zip(self.shape, array.shape, strict=True):
            if size != (free.setdefault(wanted, size) if isinstance(wanted, str) else wanted):
                return False
        return True


def check_feeds(inputs: Mapping[str, TensorSpec], feeds: Mapping[str, Array]) -> None:
    """Refuse feeds that a network with these inputs cannot take.

    Raises:
        InferenceError: a name is missing or unknown, or an array has another type or shape.
    """
    if feeds.keys() != inputs.keys():
        raise InferenceError(
            f"The network takes the inputs {_listed(inputs)}, but was given {_listed(feeds)}."
        )
    free: dict[str, int] = {}
    for name, spec in inputs.items():
        _check_feed(spec, feeds[name], free)


def _check_feed(spec: TensorSpec, array: Array, free: dict[str, int]) -> None:
    if not isinstance(array, np.ndarray):
        raise InferenceError(
            f"The input {spec.name!r} takes an array of {spec}, but was given a "
            f"{type(array).__name__}."
        )
    known = dict(free)
    if not spec.accepts(array, free) or array.size == 0:
        bound = "".join(f" with {name} = {size}" for name, size in known.items())
        raise InferenceError(
            f"The input {spec.name!r} takes {spec}{bound}, but was given {array.dtype} "
            f"{array.shape}."
        )


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "nothing"
