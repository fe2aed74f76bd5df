"""HOTA, IDF1, MOTA and identity switches, computed by TrackEval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import BackendUnavailableError

IntArray = NDArray[np.int64]

THRESHOLD = 0.3
"""CLEAR and Identity count a prediction from this similarity on; HOTA averages .05 to .95."""


@dataclass(frozen=True)
class MatchedFrame:
    """The people of one frame, annotated and predicted.

    Attributes:
        true_ids: (P,) annotated identities, any whole numbers.
        predicted_ids: (Q,) predicted identities, each at most once.
        similarity: (P, Q) from 0 to 1.
    """

    true_ids: IntArray
    predicted_ids: IntArray
    similarity: NDArray[np.float64]


@dataclass(frozen=True)
class IdentityScore:
    """How well people are found and told apart.

    Attributes:
        hota: higher order tracking accuracy in percent, like the other accuracies.
        deta: its part for detection.
        assa: its part for association.
        loca: how well matched boxes are placed.
        idf1: share of people under their own identity.
        mota: multiple object tracking accuracy.
        switches: how often somebody's identity changed.
        misses: annotated people without a prediction.
        inventions: predictions without an annotated person.
        people: annotated people, summed over frames.
    """

    hota: float
    deta: float
    assa: float
    loca: float
    idf1: float
    mota: float
    switches: int
    misses: int
    inventions: int
    people: int


class IdentityMetrics:
    """Scores sequences, and pools them as TrackEval does: all counts are added up.

    Raises:
        BackendUnavailableError: TrackEval is not installed.
    """

    def __init__(self) -> None:
        try:
            from trackeval.metrics import CLEAR, HOTA, Identity
        except ImportError as error:
            raise BackendUnavailableError(
                "HOTA, IDF1 and MOTA are computed by TrackEval, which is not installed: "
                'pip install "edgepose[dev]"'
            ) from error
        config = {"THRESHOLD": THRESHOLD, "PRINT_CONFIG": False}
        self._metrics = {"hota": HOTA(), "clear": CLEAR(config), "identity": Identity(config)}

    def evaluate(self, sequences: Sequence[Sequence[MatchedFrame]]) -> list[IdentityScore]:
        """Score each sequence, and last all of them pooled."""
        raw = [self._raw(sequence) for sequence in sequences]
        return [_score(each) for each in [*raw, self._pooled(raw)]]

    def _raw(self, frames: Sequence[MatchedFrame]) -> dict[str, Any]:
        data = as_trackeval(frames)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
            return {name: metric.eval_sequence(data) for name, metric in self._metrics.items()}

    def _pooled(self, raw: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            name: metric.combine_sequences({str(i): each[name] for i, each in enumerate(raw)})
            for name, metric in self._metrics.items()
        }


def as_trackeval(frames: Sequence[MatchedFrame]) -> dict[str, Any]:
    """Return a sequence as TrackEval's metrics take it, with identities counted from 0."""
    true, num_true = _renumbered([frame.true_ids for frame in frames])
    predicted, num_predicted = _renumbered([frame.predicted_ids for frame in frames])
    return {
        "gt_ids": true,
        "tracker_ids": predicted,
        "similarity_scores": [frame.similarity for frame in frames],
        "num_gt_ids": num_true,
        "num_tracker_ids": num_predicted,
        "num_gt_dets": sum(map(len, true)),
        "num_tracker_dets": sum(map(len, predicted)),
        "num_timesteps": len(frames),
    }


def _renumbered(ids: Sequence[IntArray]) -> tuple[list[IntArray], int]:
    known = np.unique(np.concatenate([*ids, np.zeros(0, np.int64)]))
    return [np.searchsorted(known, each) for each in ids], len(known)


def _score(raw: dict[str, Any]) -> IdentityScore:
    hota, clear, identity = raw["hota"], raw["clear"], raw["identity"]
    means = {name: 100 * float(np.mean(hota[name])) for name in ("HOTA", "DetA", "AssA", "LocA")}
    return IdentityScore(
        hota=means["HOTA"],
        deta=means["DetA"],
        assa=means["AssA"],
        loca=means["LocA"],
        idf1=100 * float(identity["IDF1"]),
        mota=100 * float(clear["MOTA"]),
        switches=int(clear["IDSW"]),
        misses=int(clear["CLR_FN"]),
        inventions=int(clear["CLR_FP"]),
        people=int(clear["CLR_TP"] + clear["CLR_FN"]),
    )
