"""What a propagation unit is worth on the validation clips, on recorded heat-maps of the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ppu.candidates import SIZE
from benchmarks.ppu.forms import Call
from benchmarks.ppu.recording import RememberedNetwork
from edgepose.datasets.clips import Clip
from edgepose.evaluation.metrics.scoring import Measure, measures_for
from edgepose.evaluation.protocols.gt_box import GtBox
from edgepose.evaluation.protocols.runner import Contender, evaluate
from edgepose.methods import MethodSpec, PropagationMethod
from edgepose_runtime.backends import Network
from edgepose_runtime.poses.skeletons import PENN13

Arrays = Mapping[str, NDArray[Any]]
SPEC = MethodSpec(PENN13, 256, SIZE, 4.0, 1.5, 0.2, None)
ALPHAS = (0.2, 0.1)


def measure(
    name: str, propagate: Call | None, body: RememberedNetwork, clips: Sequence[Clip]
) -> dict[str, float]:
    """Run a unit through all clips, each started by the body and never again.

    Args:
        name: of the candidate.
        propagate: the body's and the previous heat-maps to the final ones; None for the body alone.
        body: its heat-maps.
        clips: to evaluate on.

    Returns:
        PCK in percent over the twelve limb joints, and the jitter in percent of the torso.
    """
    method = PropagationMethod(SPEC, _Recorded(body, None), _Recorded(body, propagate))
    run = evaluate(Contender(name, GtBox(method)), clips, measures_for(ALPHAS))
    torso = {f"torso@{alpha:g}": run.score.pck(Measure("torso", alpha)) for alpha in ALPHAS}
    found = {key: round(float(summary.limbs12), 2) for key, summary in torso.items()}
    return {**found, "jitter": round(run.score.jitter, 2)}


class _Recorded(Network):
    """The graphs of a PPN, of recorded heat-maps and a call that propagates them."""

    def __init__(self, body: RememberedNetwork, propagate: Call | None) -> None:
        self._body, self._propagate = body, propagate
        self.inputs = self.outputs = {}
        self.device, self.precision = "cpu", "float32"

    def infer(self, feeds: Arrays) -> dict[str, NDArray[np.float32]]:
        """Return the body's heat-maps, propagated where something does that."""
        heatmaps = preliminary = self._body(feeds["image"])
        if self._propagate is not None:
            heatmaps = self._propagate(preliminary, feeds["previous"])
        return {"heatmaps": heatmaps, "preliminary": preliminary}

    def close(self) -> None:
        """Nothing to let go of."""
