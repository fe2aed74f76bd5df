"""PosePropagationNet: heat-maps carried from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.decoding import realign_heatmaps
from edgepose_runtime.geometry import Roi


@dataclass(frozen=True, slots=True, eq=False)
class PropagationState:
    """The heat-maps (K, h, w) of the last frame and the region they describe."""

    heatmaps: Heatmaps
    roi: Roi


class PropagationMethod:
    """PosePropagationNet (PPN).

    A heavy HeadNet starts the track. On every frame, the first included, a light BodyNet proposes
    heat-maps p_t and the pose propagation unit deforms the last ones into place:
    h_t = p_t + PPU(h_{t-1}, p_t), where h_0 are HeadNet's own (section 3 of the paper).

    The paper crops all frames of a segment alike. A tracker's region moves with the person, so
    the last heat-maps are first resampled from their region into the new one.

    Args:
        spec: geometry of crop and heat-maps.
        head: HeadNet: ``image`` to ``heatmaps``.
        step: BodyNet and PPU: ``image`` and ``previous`` to ``heatmaps`` and ``preliminary``.
    """

    def __init__(self, spec: MethodSpec, head: Network, step: Network) -> None:
        self.spec = spec
        self._head = head
        self._step = step
        shape = (spec.skeleton.num_joints, spec.heatmap_size, spec.heatmap_size)
        self._nothing: Heatmaps = np.zeros(shape, np.float32)

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:  # noqa: ARG002 - as Method says
        """Return BodyNet's own heat-maps: they cost a small part of HeadNet's."""
        heatmaps: Heatmaps = self._run_step(crop, self._nothing)["preliminary"][0]
        return heatmaps

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Run HeadNet, then one step that starts from its heat-maps."""
        head = self._head.infer({"image": crop[None]})["heatmaps"][0]
        return self._propagate(crop, roi, head, Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: PropagationState) -> Estimate:
        """Run one step that starts from the last frame's heat-maps."""
        previous = state.heatmaps
        if roi != state.roi:
            previous = realign_heatmaps(
                previous, state.roi, roi, stride=self.spec.stride, offset=self.spec.offset
            )
        return self._propagate(crop, roi, previous, Origin.PROPAGATED)

    def _propagate(self, crop: Crop, roi: Roi, previous: Heatmaps, origin: Origin) -> Estimate:
        heatmaps = self._run_step(crop, previous)["heatmaps"][0]
        return Estimate(heatmaps, PropagationState(heatmaps, roi), origin)

    def _run_step(self, crop: Crop, previous: Heatmaps) -> dict[str, Heatmaps]:
        return self._step.infer({"image": crop[None], "previous": previous[None]})
