"""The networks of the sweep."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.server.cached_heatmaps import CachedHeatmaps, CachedStep, Maps
from benchmarks.server.heads import HeatmapPeer
from edgepose.benchmarking.peers import PEERS
from edgepose.inference.model import PoseModel, bundle_path
from edgepose.methods import MethodSpec, build_method
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.closable import Closable
from edgepose_runtime.tensors import Array

#: The strong head: a peer whose joints are drawn as heat-maps.
STRONG = "RTMPose-s"


class SweepModels(Closable):
    """A bundle whose body remembers, and the heads that there are.

    Attributes:
        model: body and propagation.
        heads: by name, each from a crop to heat-maps.

    Args:
        bundle: name or folder of a bundle.
        weights: folder with those of the strong head; ``None`` to look for them.
        memory: folder in which heat-maps are kept; ``None`` for nowhere.
    """

    def __init__(self, bundle: str, weights: Path | None, memory: Path | None) -> None:
        opened = load_bundle(bundle_path(bundle))
        settings = BackendSettings(precision="float32", num_threads=1, batch=1)
        engine = get_backend("openvino")
        self._held = ExitStack()
        networks = {
            name: self._held.enter_context(engine.load(opened.graph_path(name), settings=settings))
            for name in ("head", "step", "propagate")
        }
        self._memory = memory
        self._kept: list[CachedHeatmaps] = []
        spec = MethodSpec.from_manifest(opened.manifest)
        sha256 = {name: opened.manifest.graphs[name].sha256[:12] for name in networks}
        body = self._remembered(f"body-{sha256['step']}", _body_of(networks["step"], spec))
        step = CachedStep(networks["step"], networks["propagate"], body)
        method = build_method(opened.manifest, {**networks, "step": step})
        self.model = PoseModel(opened.manifest.name, method, manifest=opened.manifest)
        head = self._remembered(
            f"head-{sha256['head']}", lambda crop: _maps(networks["head"], crop)
        )
        self.heads = {f"{opened.manifest.name}'s own head": head}
        self._add_strong_head(weights, spec)

    def save(self) -> None:
        """Keep the networks' outputs for the next run."""
        for each in self._kept:
            each.save()

    def close(self) -> None:
        """Release the networks."""
        self._held.close()

    def _add_strong_head(self, folder: Path | None, spec: MethodSpec) -> None:
        peer = next(peer for peer in PEERS if peer.name == STRONG)
        weights = peer.weights(folder)
        if weights is None:
            print(f"{STRONG} is left out: {peer.how_to_get()}.")
            return
        settings = BackendSettings(precision="float32", num_threads=1)
        network = self._held.enter_context(get_backend("openvino").load(weights, settings=settings))
        estimator = peer.estimator(network)
        drawn = HeatmapPeer(estimator, estimator.skeleton, spec)
        self.heads[f"{STRONG} as head"] = self._remembered(f"{STRONG}-{spec.heatmap_size}", drawn)

    def _remembered(self, name: str, function: Callable[[Array], Maps]) -> CachedHeatmaps:
        file = None if self._memory is None else self._memory / f"{name}.npz"
        self._kept.append(CachedHeatmaps(function, file))
        return self._kept[-1]


def _body_of(step: Network, spec: MethodSpec) -> Callable[[Array], Maps]:
    shape = (1, spec.skeleton.num_joints, spec.heatmap_size, spec.heatmap_size)
    nothing = np.zeros(shape, np.float32)

    def body(crop: Array) -> Maps:
        found: Maps = step.infer({"image": crop[None], "previous": nothing})["preliminary"][0]
        return found

    return body


def _maps(network: Network, crop: Array) -> Maps:
    found: Maps = network.infer({"image": crop[None]})["heatmaps"][0]
    return found
