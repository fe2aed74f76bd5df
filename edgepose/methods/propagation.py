"""PosePropagationNet: heat-maps propagated from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import realign_heatmaps


@dataclass(frozen=True, slots=True, eq=False)
class PropagationState:
    """What the last frame left.

    Attributes:
        heatmaps: its heat-maps (K, h, w).
        roi: the region they describe.
        preliminary: what BodyNet alone made of that region, (K, h, w).
    """

    heatmaps: Heatmaps
    roi: Roi
    preliminary: Heatmaps


class PropagationMethod:
    """PosePropagationNet (PPN).

    A heavy HeadNet starts the track. On every frame, the first included, a light BodyNet proposes
    heat-maps p_t and the pose propagation unit deforms the last ones into place:
    h_t = p_t + PPU(h_{t-1}, p_t), where h_0 are HeadNet's own (section 3 of the paper).

    The paper crops all frames of a segment alike. A tracker's region moves with the person, so
    the last heat-maps are first resampled from their region into the new one.

    Where HeadNet is much stronger than BodyNet, as the manifest's ``head_is_final`` says, its own
    heat-maps are the first frame's result: the paper's sum would let BodyNet spoil them.

    Args:
        spec: geometry of crop and heat-maps.
        head: HeadNet: ``image`` to ``heatmaps``.
        step: BodyNet and PPU: ``image`` and ``previous`` to ``heatmaps`` and ``preliminary``.
        propagate: PPU alone: ``preliminary`` and ``previous`` to ``heatmaps``.
        head_is_final: see the manifest.
    """

    def __init__(
        self,
        spec: MethodSpec,
        head: Network,
        step: Network,
        propagate: Network | None = None,
        *,
        head_is_final: bool = False,
    ) -> None:
        self.spec = spec
        self._head = head
        self._step = step
        self._propagation = propagate
        self._head_is_final = head_is_final
        shape = (spec.skeleton.num_joints, spec.heatmap_size, spec.heatmap_size)
        self._nothing: Heatmaps = np.zeros(shape, np.float32)

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:  # noqa: ARG002 - Method's signature
        """Return BodyNet's own heat-maps: they cost a small part of HeadNet's."""
        heatmaps: Heatmaps = self._run_step(crop, self._nothing)["preliminary"][0]
        return heatmaps

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Run HeadNet, then, unless its answer is final, one step that starts from its maps."""
        head = self._head.infer({"image": crop[None]})["heatmaps"][0]
        state = PropagationState(head, roi, head)
        if self._head_is_final:
            return Estimate(head, state, Origin.INITIALISED)
        return replace(self.advance(crop, roi, state), origin=Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: PropagationState) -> Estimate:
        """Run one step that starts from the last frame's heat-maps."""
        previous = self._realigned(state.heatmaps, state.roi, roi)
        found = self._step.infer({"image": crop[None], "previous": previous[None]})
        heatmaps = found["heatmaps"][0]
        return Estimate(
            heatmaps, PropagationState(heatmaps, roi, found["preliminary"][0]), Origin.PROPAGATED
        )

    @property
    def can_propagate(self) -> bool:
        """Whether the bundle has the PPU alone as a graph."""
        return self._propagation is not None

    def begin(self, crop: Crop, roi: Roi) -> Estimate:
        """Start with BodyNet in place of HeadNet."""
        heatmaps = self.locate(crop, roi)
        state = PropagationState(heatmaps, roi, heatmaps)
        return replace(self.propagate(heatmaps, roi, state), origin=Origin.INITIALISED)

    def propagate(
        self,
        heatmaps: Heatmaps,
        roi: Roi,
        state: PropagationState,
        *,
        same_frame: bool = False,  # noqa: ARG002 - PropagatingMethod's signature
    ) -> Estimate:
        """Run the PPU alone, on what BodyNet made of the frame when it came."""
        feeds = {
            "preliminary": state.preliminary[None],
            "previous": self._realigned(heatmaps, roi, state.roi)[None],
        }
        if self._propagation is None:
            raise ConfigError(
                "This bundle has no graph 'propagate'; convert its checkpoint again to get one."
            )
        carried = self._propagation.infer(feeds)["heatmaps"][0]
        return Estimate(carried, replace(state, heatmaps=carried), Origin.PROPAGATED)

    def preliminary(self, state: PropagationState) -> Heatmaps:
        """Return BodyNet's own heat-maps."""
        return state.preliminary

    def replaced(self, estimate: Estimate, heatmaps: Heatmaps) -> Estimate:
        """Let the next step start from other heat-maps."""
        state = replace(estimate.state, heatmaps=heatmaps)
        return replace(estimate, heatmaps=heatmaps, state=state)

    def _realigned(self, heatmaps: Heatmaps, source: Roi, target: Roi) -> Heatmaps:
        if source == target:
            return heatmaps
        return realign_heatmaps(
            heatmaps, source, target, stride=self.spec.stride, offset=self.spec.offset
        )

    def _run_step(self, crop: Crop, previous: Heatmaps) -> dict[str, Heatmaps]:
        return self._step.infer({"image": crop[None], "previous": previous[None]})
