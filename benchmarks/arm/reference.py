"""What this machine computes: inputs and outputs of graphs, and a tracked clip.

All of it goes to the emulated machine in one file, so that both are given the same bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import bundle_path
from edgepose.methods import PropagatingMethod, build_method
from edgepose.tracker import PoseTracker
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.bundles.bundle import Bundle, load_bundle
from edgepose_runtime.bundles.manifest import DETECTOR_GRAPH
from edgepose_runtime.bundles.self_check import reference_crop
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.roi import Roi

Arrays = dict[str, NDArray[np.generic]]

CLIP = Path(__file__).parents[2] / "samples" / "clips" / "balance.mp4"
FRAMES = 5


class Recorder(Network):
    """A network that keeps what it was given last, and what it made of it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.inputs, self.outputs = network.inputs, network.outputs
        self.device, self.precision = network.device, network.precision
        self.last: tuple[Mapping[str, NDArray[np.generic]], Arrays] = {}, {}

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> Arrays:
        """Run the network."""
        outputs = self._network.infer(feeds)
        self.last = {name: each.copy() for name, each in feeds.items()}, dict(outputs)
        return outputs

    def close(self) -> None:
        """Release the network."""
        self._network.close()


def record_graphs(name: str) -> Arrays:
    """Run each graph of a bundle in float32, with what it gets in use.

    Returns:
        Arrays named ``graph/in/input`` and ``graph/out/output``, and ``graph/precision``.
    """
    bundle = load_bundle(bundle_path(name))
    with ExitStack() as opened:
        networks = {
            graph: opened.enter_context(Recorder(load_graph(bundle, graph, "float32")))
            for graph in bundle.manifest.graphs
        }
        _use(bundle, networks)
        return {
            key: array
            for graph, network in networks.items()
            for key, array in _recorded(graph, network)
        }


def load_graph(bundle: Bundle, graph: str, precision: str) -> Network:
    """Load a graph as a tracker does, on one thread."""
    settings = BackendSettings(precision=precision, num_threads=1, batch=1)
    return get_backend("openvino").load(bundle.graph_path(graph), settings=settings)


def _use(bundle: Bundle, networks: Mapping[str, Recorder]) -> None:
    method = build_method(bundle.manifest, networks)
    crop = reference_crop(method.spec.view.shape)
    roi = Roi(0, 0, method.spec.input_size, method.spec.input_size)
    first = method.initialise(crop, roi)
    second = method.advance(crop, roi, first.state)
    if isinstance(method, PropagatingMethod) and method.can_propagate:
        method.propagate(first.heatmaps, roi, second.state)
    if DETECTOR_GRAPH in networks and bundle.manifest.detector is not None:
        size = bundle.manifest.detector.size
        networks[DETECTOR_GRAPH].infer({"frame": reference_crop((size, size, 3))[None]})


def _recorded(graph: str, network: Recorder) -> Iterator[tuple[str, NDArray[np.generic]]]:
    feeds, outputs = network.last
    if outputs:
        yield f"{graph}/precision", np.array(network.precision)
        yield from ((f"{graph}/in/{name}", each) for name, each in feeds.items())
        yield from ((f"{graph}/out/{name}", each) for name, each in outputs.items())


def record_tracking(name: str) -> Arrays:
    """Track a few frames in float32; return ``frames`` and ``joints`` (frames, K, 3)."""
    with open_source(CLIP) as source:
        frames = [each.image for each in itertools.islice(source, FRAMES)]
    return {"frames": np.stack(frames), "joints": track(name, frames, "float32")[0]}


def track(
    name: str, frames: list[NDArray[np.uint8]], precision: str
) -> tuple[NDArray[np.float32], str]:
    """Return the joints (frames, K, 3) that a tracker finds, and its precision.

    A frame without a person is NaN.
    """
    with PoseTracker(name, precision=precision, num_threads=1) as tracker:
        found = [tracker.track(frame).keypoints for frame in frames]
        missing = np.full((tracker.skeleton.num_joints, 3), np.nan, np.float32)
        joints = np.stack([missing if each is None else each for each in found])
        return joints, tracker.model.precision


def save(file: Path, arrays: Arrays) -> None:
    """Write arrays with their names."""
    np.savez_compressed(file, allow_pickle=False, **arrays)
