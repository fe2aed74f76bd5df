"""Opening all models of a benchmark."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from edgepose.benchmarking.candidates import (
    BODY,
    HEAD,
    PEER,
    STEP,
    BenchmarkModel,
    Engine,
    SkippedModel,
)
from edgepose.benchmarking.frames import BenchmarkFrames
from edgepose.benchmarking.peers import Peer
from edgepose.benchmarking.tasks import NetworkTask, PeerTask, TrackerTask
from edgepose.benchmarking.timing import Task, TimedNetwork
from edgepose.inference.model import PoseModel, bundle_path, open_model
from edgepose_runtime.backends import Network, get_backend
from edgepose_runtime.bundles.bundle import Bundle, load_bundle
from edgepose_runtime.errors import BackendError

#: The output of a step graph that the light network alone makes.
PRELIMINARY = "preliminary"


@dataclass
class ModelSet:
    """All models of a benchmark, ready to run. Close it at the end.

    Attributes:
        tasks: what to time, by entry.
        skipped: who does not take part.
        opened: closes the networks.
    """

    tasks: dict[BenchmarkModel, Task] = field(default_factory=dict)
    skipped: list[SkippedModel] = field(default_factory=list)
    opened: ExitStack = field(default_factory=ExitStack)

    def add_model(self, name: str, engine: Engine, benchmark_frames: BenchmarkFrames) -> None:
        """Add the step of a tracker, and the model's head and body by themselves.

        An engine that is not to be had is left out, with the reason.
        """
        bundle = load_bundle(bundle_path(name))
        try:
            self._add_step(bundle, engine, benchmark_frames)
            self._add_networks(bundle, engine, benchmark_frames)
        except BackendError as error:
            self.skip(f"{bundle.manifest.name}, {engine}", str(error))

    def add_peer(
        self, peer: Peer, path: Path, engine: Engine, benchmark_frames: BenchmarkFrames
    ) -> None:
        """Add a peer's network, or leave it out where the engine cannot run it."""
        try:
            network = self._timed(path, engine)
        except BackendError as error:
            self.skip(f"{peer.name}, {engine}", str(error))
            return
        used = engine.using(network.device, network.precision)
        digest = file_digest(path)
        entry = BenchmarkModel(peer.name, PEER, engine, used, digest, str(path), peer.note)
        self.tasks[entry] = PeerTask(peer.estimator(network), network, benchmark_frames)

    def skip(self, name: str, reason: str) -> None:
        """Record a model that is left out."""
        self.skipped.append(SkippedModel(name, reason))

    def _add_step(self, bundle: Bundle, engine: Engine, benchmark_frames: BenchmarkFrames) -> None:
        networks: list[TimedNetwork] = []

        def timed(_: str, network: Network) -> Network:
            networks.append(TimedNetwork(network))
            return networks[-1]

        model = open_model(bundle.path, engine.backend, engine.settings, timed)
        self.opened.enter_context(model)
        entry = _entry(bundle, STEP, engine, model)
        self.tasks[entry] = TrackerTask(model, networks, benchmark_frames)

    def _add_networks(
        self, bundle: Bundle, engine: Engine, benchmark_frames: BenchmarkFrames
    ) -> None:
        view = bundle.manifest.input.view
        pairs = zip(benchmark_frames.frames, benchmark_frames.boxes, strict=True)
        crops = [view.crop(frame, box.squared()) for frame, box in pairs]
        for part, graph in _single_networks(bundle):
            network = self._timed(graph, engine)
            self.tasks[_entry(bundle, part, engine, network)] = NetworkTask(network, crops)

    def _timed(self, graph: Path | bytes, engine: Engine) -> TimedNetwork:
        network = get_backend(engine.backend).load(graph, settings=engine.settings)
        return TimedNetwork(self.opened.enter_context(network))


def _entry(bundle: Bundle, part: str, engine: Engine, used: PoseModel | Network) -> BenchmarkModel:
    in_use = engine.using(used.device, used.precision)
    digest, folder = bundle_digest(bundle), str(bundle.path)
    return BenchmarkModel(bundle.manifest.name, part, engine, in_use, digest, folder)


def _single_networks(bundle: Bundle) -> Iterator[tuple[str, Path | bytes]]:
    """Return the head, and what of the step graph the light network is."""
    graphs = bundle.manifest.graphs
    if "head" in graphs:
        yield HEAD, bundle.graph_path("head")
    if "body" in graphs:
        yield BODY, bundle.graph_path("body")
    elif "step" in graphs and find_spec("onnx") is not None:
        yield BODY, part_of_graph(bundle.graph_path("step"), "image", PRELIMINARY)


def part_of_graph(path: Path, source: str, output: str) -> bytes:
    """Return that part of an ONNX graph that computes an output from an input."""
    import onnx
    from onnx.utils import Extractor

    extractor = Extractor(onnx.load(path))
    content: bytes = extractor.extract_model([source], [output]).SerializeToString()
    return content


def bundle_digest(bundle: Bundle) -> str:
    """Return a hash of this bundle's networks."""
    hashes = [graph.sha256 for _, graph in sorted(bundle.manifest.graphs.items())]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return a hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def open_model_set(
    models: Sequence[str],
    peers: Sequence[Peer],
    weights: Path | None,
    plan: Sequence[Engine],
    benchmark_frames: BenchmarkFrames,
) -> ModelSet:
    """Open all models with all engines, and all peers with those in float32.

    Raises:
        BundleError: a model is not there or damaged.
        ConfigError: there is no such backend or precision.
        BackendError: not a single model can be run; says why.
    """
    model_set = ModelSet()
    for engine in plan:
        for model in models:
            model_set.add_model(model, engine, benchmark_frames)
    if not model_set.tasks:
        raise BackendError(f"No model can be run. {model_set.skipped[0].reason}")
    for peer in peers:
        path = peer.weights(weights)
        if path is None:
            model_set.skip(peer.name, peer.how_to_get())
            continue
        for engine in _as_published(plan):
            model_set.add_peer(peer, path, engine, benchmark_frames)
    return model_set


def _as_published(plan: Sequence[Engine]) -> Sequence[Engine]:
    """Return the engines in float32, which is how peers are published, if there are such."""
    return [engine for engine in plan if engine.precision == "float32"] or plan
