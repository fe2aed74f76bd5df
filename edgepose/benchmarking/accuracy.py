"""Accuracy of all timed models on annotated clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgepose.benchmarking.candidates import PEER, STEP, BenchmarkModel
from edgepose.benchmarking.peers import PEERS
from edgepose.datasets.root import data_root
from edgepose.evaluation.data_sets import Selection, data_set, select_clips
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.candidates import as_tracker, in_boxes
from edgepose.evaluation.protocols.gt_box import GtBoxPredictor
from edgepose.evaluation.protocols.runner import Candidate, Run, run_all
from edgepose.inference.model import PoseModel, open_model
from edgepose.methods import FramewiseMethod
from edgepose.utils.config_types import require_types
from edgepose_runtime.backends import get_backend
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.files import read_json

ALPHAS = (0.2, 0.1)
DATA = "jhmdb"
#: The protocols, in the order in which they are evaluated.
BOXES, TRACKER, HEAD_ALONE = "boxes", "tracker", "head"

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Accuracy:
    """How accurate a model is: whatever has its networks and precision has the same.

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

    def is_of(self, entry: BenchmarkModel) -> bool:
        """Return whether it holds for a model entry, on whatever backend and threads."""
        used = (entry.name, entry.engine.precision, entry.digest)
        return (self.name, self.precision, self.digest) == used


@dataclass(frozen=True)
class AccuracyReport:
    """The accuracy of all, and on what it was measured."""

    data: str
    clips: int
    frames: int
    headline: str
    results: tuple[Accuracy, ...]

    def of(self, entry: BenchmarkModel) -> Accuracy | None:
        """Return what holds for a model entry, if it was measured."""
        return next((each for each in self.results if each.is_of(entry)), None)


def measure_accuracy(
    entries: Iterable[BenchmarkModel], root: Path | None = None, *, heads: bool = False
) -> AccuracyReport:
    """Evaluate each model and peer once for each precision that it is timed in.

    Args:
        entries: who is timed.
        root: the data folder; ``None`` for :func:`~edgepose.datasets.root.data_root`.
        heads: evaluate the heavy networks by themselves as well.

    Raises:
        DataError: the clips are missing or damaged.
    """
    selection = Selection(DATA, root=(root or data_root()) / DATA, grade="A")
    clips = select_clips(selection)
    headline = data_set(DATA).headline
    chosen = _one_each(entries)
    with ExitStack() as opened:
        ways = [_ways(entry, heads, opened) for entry in chosen]
        runs = iter(run_all([way for each in ways for way in each], clips, measures_for(ALPHAS)))
        results = tuple(
            _accuracy(entry, [next(runs) for _ in each], headline)
            for entry, each in zip(chosen, ways, strict=True)
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
        content = read_json(path)["accuracy"]
        results = tuple(_checked(Accuracy, each) for each in content["results"])
        return _checked(AccuracyReport, {**content, "results": results})
    except (OSError, ValueError, LookupError, TypeError, ConfigError) as error:
        raise DataError(
            f"There is no accuracy in '{path}'; give the --json file of a benchmark with data "
            f"({type(error).__name__}: {error})."
        ) from error


def _checked(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    require_types(kind, values, "the accuracy")
    return kind(**values)


def as_plain(report: AccuracyReport | None) -> dict[str, object] | None:
    """Return the report as plain data, as :func:`read_accuracy` reads it."""
    return None if report is None else asdict(report)


def _one_each(entries: Iterable[BenchmarkModel]) -> list[BenchmarkModel]:
    """Return one entry of each model or peer and precision: the first with the most threads.

    Threads do not change the results.
    """
    found: dict[tuple[str, str, str], BenchmarkModel] = {}
    for entry in entries:
        if entry.part in (STEP, PEER):
            key = entry.name, entry.engine.precision, entry.digest
            first = found.setdefault(key, entry)
            same = first.asked.backend == entry.asked.backend
            if same and first.asked.threads < entry.asked.threads:
                found[key] = entry
    return list(found.values())


def _ways(entry: BenchmarkModel, heads: bool, opened: ExitStack) -> Sequence[Candidate]:
    """Return a model entry in the ways that it is evaluated."""
    backend, settings = entry.asked.backend, entry.asked.settings
    if entry.part == STEP:
        model = opened.enter_context(open_model(entry.source, backend, settings))
        alone = _head_alone(entry, model, opened) if heads else []
        return [*in_boxes(model, (None,)), as_tracker(model), *alone]
    peer = next(peer for peer in PEERS if peer.name == entry.name)
    network = get_backend(backend).load(Path(entry.source), settings=settings)
    return [Candidate(peer.name, peer.predictor(opened.enter_context(network)), peer.note)]


def _head_alone(entry: BenchmarkModel, model: PoseModel, opened: ExitStack) -> list[Candidate]:
    bundle = load_bundle(Path(entry.source))
    if "head" not in bundle.manifest.graphs:
        return []
    backend, settings = get_backend(entry.asked.backend), entry.asked.settings
    network = opened.enter_context(backend.load(bundle.graph_path("head"), settings=settings))
    method = FramewiseMethod(model.method.spec, network)
    return [Candidate(f"{model.name} head", GtBoxPredictor(method))]


def _accuracy(entry: BenchmarkModel, runs: Sequence[Run], headline: str) -> Accuracy:
    pck = {
        protocol: {
            measure.label: round(float(getattr(run.score.pck(measure), headline)), 2)
            for measure in run.score.measures
        }
        for protocol, run in zip((BOXES, TRACKER, HEAD_ALONE), runs, strict=False)
    }
    engine = entry.engine
    return Accuracy(entry.name, engine.backend, engine.precision, entry.digest, pck)
