"""Which layers should stay float: those that gain much by it and cost little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        gain: the share of the remaining error that a layer must take away.
        candidates: how many layers, the most promising ones, are tried together.
    """

    work: float = 0.06
    gain: float = 0.02
    candidates: int = 12


DEFAULT_SEARCH = SearchSettings()


def sensitive_layers(
    quantised: onnx.ModelProto,
    model: onnx.ModelProto,
    probe: Probe,
    settings: SearchSettings = DEFAULT_SEARCH,
    on_trial: Callable[[float], None] = lambda _: None,
) -> list[str]:
    """Return the names of layers to leave float, by a greedy search.

    Each layer is first given back its float form alone. In the order of what that gains, layers
    are then given back together, as long as they keep gaining and are within the budget of work.
    The number of trials, and so the result, depends on nothing but the graph and the frames.

    Args:
        quantised: the model with every layer quantised.
        model: the clean float model.
        probe: measures the error.
        settings: when to stop.
        on_trial: called after each trial with its error.
    """

    def error(names: list[str]) -> float:
        trial = with_float_layers(quantised, model, names).SerializeToString()
        found = probe.error(trial)
        on_trial(found)
        return found

    work = {layer.name: layer.work for layer in weighted_layers(model)}
    allowed = settings.work * sum(work.values())
    remaining = error([])
    alone = {name: error([name]) for name in quantised_layers(quantised) if work[name] <= allowed}
    chosen: list[str] = []
    for name in sorted(alone, key=alone.__getitem__)[: settings.candidates]:
        if sum(work[each] for each in (*chosen, name)) > allowed:
            continue
        found = error([*chosen, name])
        if found <= (1 - settings.gain) * remaining:
            chosen, remaining = [*chosen, name], found
    return [name for name in work if name in chosen]


def most_trials(quantised: onnx.ModelProto, settings: SearchSettings = DEFAULT_SEARCH) -> int:
    """Return how many trials :func:`sensitive_layers` makes at most."""
    return 1 + len(quantised_layers(quantised)) + settings.candidates
