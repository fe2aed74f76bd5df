"""Which layers should stay float: those that gain much by it and cost little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import onnx

from edgepose_converters.quantisation.layers import (
    quantised_layers,
    weighted_layers,
    with_float_layers,
)
from edgepose_converters.quantisation.probing import Probe


@dataclass(frozen=True)
class SearchSettings:
    """How layers are chosen.

    Attributes:
        work: the largest share of all multiplications that may stay float, from 0 to 1.
        gain: the share of the error that layers must take away to be of interest.
        groups: into how many groups of neighbours the layers are divided first.
        trials: how many graphs are tried at most.
    """

    work: float = 0.06
    gain: float = 0.05
    groups: int = 6
    trials: int = 40


DEFAULT_SEARCH = SearchSettings()


def sensitive_layers(
    quantised: onnx.ModelProto,
    model: onnx.ModelProto,
    probe: Probe,
    settings: SearchSettings = DEFAULT_SEARCH,
    on_trial: Callable[[float], None] = lambda _: None,
    candidates: Sequence[str] | None = None,
) -> list[str]:
    """Return the names of layers to leave float, in the order in which they run.

    Groups of neighbours that gain nothing by being float are dropped as a whole; others are halved
    until single layers are left. In the order of what those gain, they are then given back their
    float form together, as long as they keep gaining and are within the budget of work. Trials are
    counted, not timed: the result depends on nothing but the graph and the frames.

    Args:
        quantised: the model with every layer quantised.
        model: the clean float model.
        probe: measures the error.
        settings: when to stop.
        on_trial: called after each trial with its error.
        candidates: layers to choose from, in the order in which they run; None for all.
    """
    if candidates is None:
        candidates = quantised_layers(quantised)
    if not candidates:
        return []
    search = _Search(quantised, model, probe, settings, on_trial)
    chosen = search.chosen_of(search.promising(candidates))
    return [name for name in search.work if name in chosen]


class _Search:
    def __init__(
        self,
        quantised: onnx.ModelProto,
        model: onnx.ModelProto,
        probe: Probe,
        settings: SearchSettings,
        on_trial: Callable[[float], None],
    ) -> None:
        self._quantised, self._model, self._probe = quantised, model, probe
        self._settings, self._on_trial = settings, on_trial
        self._left = settings.trials
        self.work = {layer.name: layer.work for layer in weighted_layers(model)}
        self._all_int8 = self._error([])

    def promising(self, candidates: Sequence[str]) -> list[str]:
        """Return single layers that gain something, the one that gains most first."""
        found: dict[str, float] = {}
        groups = _divided(candidates, self._settings.groups)
        while groups and self._left:
            group = groups.pop(0)
            error = self._error(group)
            if error > (1 - self._settings.gain) * self._all_int8:
                continue
            if len(group) == 1:
                found[group[0]] = error
            else:
                groups += _divided(group, 2)
        return sorted(found, key=found.__getitem__)

    def chosen_of(self, candidates: list[str]) -> list[str]:
        """Return those that are worth their work together."""
        allowed = self._settings.work * sum(self.work.values())
        chosen: list[str] = []
        remaining = self._all_int8
        for name in candidates:
            together = [*chosen, name]
            if not self._left or sum(map(self.work.__getitem__, together)) > allowed:
                continue
            error = self._error(together)
            if error <= (1 - self._settings.gain) * remaining:
                chosen, remaining = together, error
        return chosen

    def _error(self, names: list[str]) -> float:
        self._left -= 1
        trial = with_float_layers(self._quantised, self._model, names)
        error = self._probe.error(trial.SerializeToString())
        self._on_trial(error)
        return error


def _divided(names: Sequence[str], parts: int) -> list[list[str]]:
    """Return lists of neighbours, as many as asked for and as equal as can be, none empty."""
    ends = [len(names) * part // parts for part in range(parts + 1)]
    return [list(names[start:end]) for start, end in pairwise(ends) if end > start]
