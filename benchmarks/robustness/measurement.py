"""One candidate under all conditions."""

from __future__ import annotations

import hashlib
import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.conditions import conditions
from edgepose.benchmarking.peers import Peer, choose_peers
from edgepose.evaluation.data_sets import Selection, data_set, select_clips
from edgepose.evaluation.metrics.scoring import Measure
from edgepose.evaluation.protocols.candidates import as_tracker, in_boxes
from edgepose.evaluation.protocols.predictors import FrameWisePredictor
from edgepose.evaluation.protocols.runner import Candidate, Run, evaluate
from edgepose.inference.model import open_model
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.geometry.roi import Roi

#: Our model's two ways; any other candidate is a peer's option.
TRACKER, BOXES = "tracker", "gt-box"
MEASURES = (Measure("torso", 0.2), Measure("torso", 0.1))


@dataclass(frozen=True)
class Setup:
    """What all candidates have in common.

    Attributes:
        model: bundle.
        backend: runs all networks.
        weights: folder of the peers' weights.
        selection: the clips.
        groups: of conditions that are measured.
    """

    model: str
    backend: str
    weights: Path | None
    selection: Selection
    groups: tuple[str, ...]


class Row(NamedTuple):
    """A candidate under one condition: PCK in percent, jitter in percent of the torso, lag.

    The lag is in frames. Figures are None where nothing was scored.
    """

    condition: str
    method: str
    share: float
    pck02: float | None
    pck01: float | None
    jitter: float | None
    lag: float | None
    without_pose: int
    frames: int
    lost_clips: int
    clips: int


class CachedPredictor:
    """An estimator that looks once at each picture and box, where conditions share frames."""

    def __init__(self, estimate: Any) -> None:
        self._estimate = estimate
        self._known: dict[tuple[bytes, Roi], NDArray[np.floating]] = {}

    def __call__(self, frame: NDArray[np.uint8], box: Roi) -> NDArray[np.floating]:
        """Return (K, 3), as of the first time."""
        key = hashlib.blake2b(frame.tobytes(), digest_size=16).digest(), box
        if key not in self._known:
            self._known[key] = self._estimate(frame, box)
        return self._known[key]


def measure(setup: Setup, who: str) -> list[Row]:
    """Evaluate a candidate under all conditions; nothing if its weights are not here."""
    clips = select_clips(setup.selection)
    headline = data_set(setup.selection.data).headline
    rows = []
    with ExitStack() as opened:
        candidate = _candidate(setup, who, opened)
        if candidate is None:
            return []
        for condition in conditions():
            if condition.group in setup.groups:
                harder = [condition.apply(clip) for clip in clips]
                run = evaluate(candidate, harder, MEASURES)
                rows.append(row_of(run, condition.name, condition.share, headline))
                print(rows[-1], flush=True)
    return rows


def row_of(run: Run, condition: str, share: float, headline: str) -> Row:
    """Return the figures of a run."""
    score = run.score
    pck02, pck01 = (float(getattr(score.pck(each), headline)) for each in MEASURES)
    return Row(
        condition,
        run.candidate.label,
        share,
        _rounded(pck02),
        _rounded(pck01),
        _rounded(score.jitter),
        _rounded(score.lag_frames),
        score.without_pose,
        score.frames,
        len(score.lost_clips),
        len(score.clips),
    )


def _candidate(setup: Setup, who: str, opened: ExitStack) -> Candidate | None:
    settings = BackendSettings(precision="auto", num_threads=1, batch=1)
    if who in (TRACKER, BOXES):
        model = opened.enter_context(open_model(setup.model, setup.backend, settings))
        return as_tracker(model) if who == TRACKER else in_boxes(model, (None,))[0]
    (peer,) = choose_peers([who])
    weights = peer.weights(setup.weights)
    if weights is None:
        print(f"{peer.name} is left out: {peer.how_to_get()}.", flush=True)
        return None
    plain = replace(settings, precision="float32")
    network = get_backend(setup.backend).load(weights, settings=plain)
    return _peer_candidate(peer, opened.enter_context(network))


def _peer_candidate(peer: Peer, network: Any) -> Candidate:
    predictor = peer.predictor(network)
    if isinstance(predictor, FrameWisePredictor):
        predictor = replace(predictor, estimate=CachedPredictor(predictor.estimate))
    return Candidate(peer.name, predictor, peer.note)


def _rounded(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def groups() -> tuple[str, ...]:
    """Return the groups of conditions, in order."""
    return tuple(dict.fromkeys(condition.group for condition in conditions()))
