"""Opening everybody who takes part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from edgepose.benchmarking.candidates import BODY, HEAD, PEER, STEP, Engine, Entrant, LeftOut
from edgepose.benchmarking.frames import Footage
from edgepose.benchmarking.peers import Peer
from edgepose.benchmarking.tasks import NetworkTask, PeerTask, TrackerTask
from edgepose.benchmarking.timing import Task, TimedNetwork
from edgepose.inference.model import PoseModel, bundle_path, open_model
from edgepose_runtime.backends import Network, get_backend
from edgepose_runtime.bundles.bundle import Bundle, load_bundle
from edgepose_runtime.errors import BackendError
from edgepose_runtime.geometry.crop import crop_frame

#: The output of a step graph that the light network alone makes.
PRELIMINARY = "preliminary"


@dataclass
class Lineup:
    """Everybody, ready to run. Close it at the end.

    Attributes:
        tasks: what to time, by entrant.
        left_out: who does not take part.
        opened: closes the networks.
    """

    tasks: dict[Entrant, Task] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    opened: ExitStack = field(default_factory=ExitStack)

    def add_model(self, name: str, engine: Engine, footage: Footage) -> None:
        """Add the step of a tracker, and the model's head and body by themselves.

        An engine that is not to be had is left out, with the reason.
        """
        bundle = load_bundle(bundle_path(name))
        try:
            self._add_step(bundle, engine, footage)
            self._add_networks(bundle, engine, footage)
        except BackendError as error:
            self.leave_out(f"{bundle.manifest.name}, {engine}", str(error))

    def add_peer(self, peer: Peer, path: Path, engine: Engine, footage: Footage) -> None:
        """Add a peer's network, or leave it out where the engine cannot run it."""
        try:
            network = self._timed(path, engine)
        except BackendError as error:
            self.leave_out(f"{peer.name}, {engine}", str(error))
            return
        used = engine.using(network.device, network.precision)
        digest = file_digest(path)
        entrant = Entrant(peer.name, PEER, engine, used, digest, str(path), peer.note)
        self.tasks[entrant] = PeerTask(peer.estimator(network), network, footage)

    def leave_out(self, name: str, reason: str) -> None:
        """Remember who does not take part."""
        self.left_out.append(LeftOut(name, reason))

    def _add_step(self, bundle: Bundle, engine: Engine, footage: Footage) -> None:
        networks: list[TimedNetwork] = []

        def timed(network: Network) -> Network:
            networks.append(TimedNetwork(network))
            return networks[-1]

        model = open_model(bundle.path, engine.backend, engine.settings, timed)
        self.opened.enter_context(model)
        entrant = _entrant(bundle, STEP, engine, model)
        self.tasks[entrant] = TrackerTask(model, networks, footage)

    def _add_networks(self, bundle: Bundle, engine: Engine, footage: Footage) -> None:
        size = bundle.manifest.input.size
        pairs = zip(footage.frames, footage.boxes, strict=True)
        crops = [crop_frame(frame, box.squared(), size) for frame, box in pairs]
        for part, graph in _single_networks(bundle):
            network = self._timed(graph, engine)
            self.tasks[_entrant(bundle, part, engine, network)] = NetworkTask(network, crops)

    def _timed(self, graph: Path | bytes, engine: Engine) -> TimedNetwork:
        network = get_backend(engine.backend).load(graph, settings=engine.settings)
        return TimedNetwork(self.opened.enter_context(network))


def _entrant(bundle: Bundle, part: str, engine: Engine, used: PoseModel | Network) -> Entrant:
    in_use = engine.using(used.device, used.precision)
    digest, folder = bundle_digest(bundle), str(bundle.path)
    return Entrant(bundle.manifest.name, part, engine, in_use, digest, folder)


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
    """Return what tells this bundle's networks from others of its name."""
    hashes = [graph.sha256 for _, graph in sorted(bundle.manifest.graphs.items())]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return what tells a file from others of its name."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def open_lineup(
    models: Sequence[str],
    peers: Sequence[Peer],
    weights: Path | None,
    plan: Sequence[Engine],
    footage: Footage,
) -> Lineup:
    """Open all models with all engines, and all peers with those in float32.

    Raises:
        BundleError: a model is not there or damaged.
        ConfigError: there is no such backend or precision.
        BackendError: not a single model can be run; says why.
    """
    lineup = Lineup()
    for engine in plan:
        for model in models:
            lineup.add_model(model, engine, footage)
    if not lineup.tasks:
        raise BackendError(f"No model can be run. {lineup.left_out[0].reason}")
    for peer in peers:
        path = peer.weights(weights)
        if path is None:
            lineup.leave_out(peer.name, peer.how_to_get())
            continue
        for engine in _as_published(plan):
            lineup.add_peer(peer, path, engine, footage)
    return lineup


def _as_published(plan: Sequence[Engine]) -> Sequence[Engine]:
    """Return the engines in float32, which is how peers are published, if there are such."""
    return [engine for engine in plan if engine.precision == "float32"] or plan
