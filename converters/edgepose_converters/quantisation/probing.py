"""How far a graph is from its float form, on frames that it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.tensors import Array

Feeds = Mapping[str, Array]
Maps = NDArray[np.float32]
#: The output that nothing but a search for people depends on.
_PRELIMINARY = "preliminary"


class Probe:
    """Compares forms of one graph on the same inputs.

    Args:
        reference: the float graph, an ONNX file.
        feeds: what to compare on; of all but calibration frames.
        backend: what runs the graphs.
    """

    def __init__(
        self, reference: bytes, feeds: Sequence[Feeds], *, backend: str = "openvino"
    ) -> None:
        self._graph, self._feeds, self._backend = reference, feeds, backend

    def error(self, graph: bytes) -> float:
        """Return the root mean square error of what counts, relative to that of zeros."""
        found = run_graph(graph, self._feeds, self._backend)
        return relative_error(found, self._reference)

    @cached_property
    def _reference(self) -> dict[str, Maps]:
        """The float graph's heat-maps, computed when first needed."""
        return run_graph(self._graph, self._feeds, self._backend)


def run_graph(graph: bytes, feeds: Sequence[Feeds], backend: str) -> dict[str, Maps]:
    """Return what a graph makes of N inputs of one sample: heat-maps (N, K, h, h), and a state.

    A state that the graph hands on to the next frame counts as well: errors in it are those of
    heat-maps to come.
    """
    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    with get_backend(backend).load(graph, settings=settings) as network:
        names = [name for name in network.outputs if name != _PRELIMINARY]
        found = [network.infer(feed) for feed in feeds]
    return {name: np.concatenate([each[name] for each in found]) for name in names}


def relative_error(found: Mapping[str, Maps], reference: Mapping[str, Maps]) -> float:
    """Return the root mean square difference in units of the reference's root mean square.

    Of several outputs, it is the root of the mean of the squares.
    """
    errors = [
        float(np.linalg.norm(found[name] - wanted) / np.linalg.norm(wanted))
        for name, wanted in reference.items()
    ]
    return float(np.sqrt(np.mean(np.square(errors))))
