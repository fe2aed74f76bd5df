"""How far a graph's heat-maps are from those of its float form, on frames that it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.tensors import Array

Feeds = Mapping[str, Array]
Maps = NDArray[np.float32]


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
        self._feeds = feeds
        self._reference = run_graph(reference, feeds, backend)
        self._backend = backend

    def error(self, graph: bytes) -> float:
        """Return the heat-maps' root mean square error, relative to that of zeros."""
        found = run_graph(graph, self._feeds, self._backend)
        return relative_error(found, self._reference)


def run_graph(graph: bytes, feeds: Sequence[Feeds], backend: str) -> Maps:
    """Return the heat-maps (N, K, h, h) of a graph for N inputs of one sample."""
    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    with get_backend(backend).load(graph, settings=settings) as network:
        return np.concatenate([network.infer(feed)["heatmaps"] for feed in feeds])


def relative_error(found: Maps, reference: Maps) -> float:
    """Return the root mean square difference in units of the reference's root mean square."""
    return float(np.linalg.norm(found - reference) / np.linalg.norm(reference))
