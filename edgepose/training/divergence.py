"""Detects a training run that diverges: empty heat-maps, or a dominant discriminator."""

from __future__ import annotations

from collections.abc import Mapping

#: Largest useful loss, as a share of that of empty heat-maps.
EMPTY = 0.98
#: Largest weighted discriminator loss, as a multiple of the generator's own heat-map loss.
LOUDEST = 3.0
_DECAY = 0.98


class DivergenceMonitor:
    """Smooths the measures of a run, and reports when they look like a collapse.

    A step's measures are read where they are there: ``against_empty``, the loss of the heat-maps
    over the loss of empty ones, and ``against_heatmaps``, the weighted loss of the discriminator
    over that of the heat-maps.

    Args:
        patience: steps before the first report, and between two reports.
    """

    def __init__(self, patience: int = 500) -> None:
        self._patience, self._steps = patience, 0
        self._means: dict[str, float] = {}

    def update(self, measures: Mapping[str, float]) -> str | None:
        """Take in one step; return what is wrong in a sentence, or None."""
        for name in ("against_empty", "against_heatmaps"):
            if name in measures:
                mean = self._means.setdefault(name, measures[name])
                self._means[name] = _DECAY * mean + (1 - _DECAY) * measures[name]
        self._steps += 1
        if self._steps < self._patience:
            return None
        fault = self._fault()
        if fault is not None:
            self._steps = 0
        return fault

    def state_dict(self) -> dict[str, object]:
        """Return what a checkpoint keeps."""
        return {"steps": self._steps, "means": dict(self._means)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go back to what `state_dict` gave."""
        self._steps = int(state["steps"])  # type: ignore[call-overload]
        self._means = dict(state["means"])  # type: ignore[call-overload]

    def _fault(self) -> str | None:
        empty = self._means.get("against_empty", 0.0)
        if empty > EMPTY:
            return (
                f"The heat-maps have collapsed: their loss is {empty:.2f} times that of empty "
                "maps. Lower the learning rate, or start from weights trained on single images."
            )
        against = self._means.get("against_heatmaps", 0.0)
        if against > LOUDEST:
            return (
                f"The discriminator has run away: its part of the loss is {against:.1f} times that "
                "of the heat-maps. Lower adversary.weight, adversary.gain or adversary.rate_factor."
            )
        return None
