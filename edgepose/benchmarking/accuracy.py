"""Accuracy of everybody who is timed, on annotated clips."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from edgepose.benchmarking.candidates import PEER, STEP, Entrant
from edgepose.benchmarking.peers import PEERS
from edgepose.datasets.root import data_root
from edgepose.evaluation.data_sets import Selection, data_set, select_clips
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.candidates import as_tracker, in_boxes
from edgepose.evaluation.protocols.gt_box import GtBox
from edgepose.evaluation.protocols.runner import Contender, Run, run_all
from edgepose.inference.model import PoseModel, open_model
from edgepose.methods import FramewiseMethod
from edgepose_runtime.backends import get_backend
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.errors import DataError

ALPHAS = (0.2, 0.1)
DATA = "jhmdb"
#: The protocols, in the order in which they are evaluated.
BOXES, TRACKER, HEAD_ALONE = "boxes", "tracker", "head"


@dataclass(frozen=True)
class Accuracy:
    """How accurate one entrant is: whatever has its networks and precision has the same.

    Attributes:
        name: of the model or peer.
        backend: that ran it.
        precision: in use.
        digest: of its files.
        pck: in percent, by protocol (``"boxes"`` around the annotated person, ``"tracker"`` for a
            tracker that finds the person itself, ``"head"`` for the heavy network alone in the
            boxes), then by measure.
    """

    name: str
    backend: str
    precision: str
    digest: str
    pck: Mapping[str, Mapping[str, float]]

    def is_of(self, entrant: Entrant) -> bool:
        """Say whether it holds for an entrant, on whatever backend and threads."""
        used = (entrant.name, entrant.engine.precision, entrant.digest)
        return (self.name, self.precision, self.digest) == used


@dataclass(frozen=True)
class AccuracyReport:
    """The accuracy of all, and on what it was measured."""

    data: str
    clips: int
    frames: int
    headline: str
    results: tuple[Accuracy, ...]

    def of(self, entrant: Entrant) -> Accuracy | None:
        """Return what holds for an entrant, if it was measured."""
        return next((each for each in self.results if each.is_of(entrant)), None)


def measure_accuracy(
    entrants: Iterable[Entrant], root: Path | None = None, *, heads: bool = False
) -> AccuracyReport:
    """Evaluate each model and peer once for each precision that it is timed in.

    Args:
        entrants: who is timed.
        root: the data folder; ``None`` for :func:`~edgepose.datasets.root.data_root`.
        heads: evaluate the heavy networks by themselves as well.

    Raises:
        DataError: the clips are missing or damaged.
    """
    selection = Selection(DATA, root=(root or data_root()) / DATA, grade="A")
    clips = select_clips(selection)
    headline = data_set(DATA).headline
    chosen = _one_each(entrants)
    with ExitStack() as opened:
        ways = [_ways(entrant, heads, opened) for entrant in chosen]
        runs = iter(run_all([way for each in ways for way in each], clips, measures_for(ALPHAS)))
        results = tuple(
            _accuracy(entrant, [next(runs) for _ in each], headline)
            for entrant, each in zip(chosen, ways, strict=True)
        )
    frames = sum(len(clip) for clip in clips)
    part = f"{DATA} {clips[0].split}, grade A"
    return AccuracyReport(part, len(clips), frames, headline, results)


def read_accuracy(path: Path) -> AccuracyReport:
    """Take the accuracy from the JSON of an earlier benchmark.

    Raises:
        DataError: the file is missing, no such JSON, or without accuracy.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["accuracy"]
        results = tuple(Accuracy(**each) for each in content["results"])
        return AccuracyReport(**{**content, "results": results})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"There is no accuracy in '{path}'; give the --json file of a benchmark with data "
            f"({type(error).__name__}: {error})."
        ) from error


def as_plain(report: AccuracyReport | None) -> dict[str, object] | None:
    """Return the report as plain data, as :func:`read_accuracy` reads it."""
    return None if report is None else asdict(report)


def _one_each(entrants: Iterable[Entrant]) -> list[Entrant]:
    """Return the first entrant of each model or peer and precision, and of those the most threads.

    Threads do not change what comes out.
    """
    found: dict[tuple[str, str, str], Entrant] = {}
    for entrant in entrants:
        if entrant.part in (STEP, PEER):
            key = entrant.name, entrant.engine.precision, entrant.digest
            first = found.setdefault(key, entrant)
            same = first.asked.backend == entrant.asked.backend
            if same and first.asked.threads < entrant.asked.threads:
                found[key] = entrant
    return list(found.values())


def _ways(entrant: Entrant, heads: bool, opened: ExitStack) -> Sequence[Contender]:
    """Return an entrant in the ways that it is evaluated."""
    backend, settings = entrant.asked.backend, entrant.asked.settings
    if entrant.part == STEP:
        model = opened.enter_context(open_model(entrant.source, backend, settings))
        alone = _head_alone(entrant, model, opened) if heads else []
        return [*in_boxes(model, (None,)), as_tracker(model), *alone]
    peer = next(peer for peer in PEERS if peer.name == entrant.name)
    network = get_backend(backend).load(Path(entrant.source), settings=settings)
    return [Contender(peer.name, peer.predictor(opened.enter_context(network)), peer.note)]


def _head_alone(entrant: Entrant, model: PoseModel, opened: ExitStack) -> list[Contender]:
    bundle = load_bundle(Path(entrant.source))
    if "head" not in bundle.manifest.graphs:
        return []
    backend, settings = get_backend(entrant.asked.backend), entrant.asked.settings
    network = opened.enter_context(backend.load(bundle.graph_path("head"), settings=settings))
    method = FramewiseMethod(model.method.spec, network)
    return [Contender(f"{model.name} head", GtBox(method))]


def _accuracy(entrant: Entrant, runs: Sequence[Run], headline: str) -> Accuracy:
    pck = {
        protocol: {
            measure.label: round(float(getattr(run.score.pck(measure), headline)), 2)
            for measure in run.score.measures
        }
        for protocol, run in zip((BOXES, TRACKER, HEAD_ALONE), runs, strict=False)
    }
    engine = entrant.engine
    return Accuracy(entrant.name, engine.backend, engine.precision, entrant.digest, pck)
