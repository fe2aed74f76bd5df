"""PosePropagationNet with optical flow in place of the learned propagation unit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import decode_heatmaps
from edgepose_runtime.heatmaps.fusion import ExpectedJoints, fuse_heatmaps
from edgepose_runtime.poses.grey_view import VIEW_SIZE, View, view_of
from edgepose_runtime.poses.optical_flow import JointFlow

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """How far the last pose is trusted against the light network; lengths in heat-map cells.

    The defaults were chosen on the part ``selection`` of the JHMDB clips.

    Attributes:
        share: of the expected joints in the fused heat-maps, from 0 to 1.
        deviation: of a joint that the head has just seen.
        drift: by which the deviation grows in each frame (root of the sum of squares).
        per_doubt: by which it grows besides, for each cell that flow forward and backward is off.
        largest_deviation: it grows no further.
        memory: what is left of a joint's offset, in which both networks differ, after each frame.
        adaptation: how fast the offset follows what is seen, from 0 to 1.
        largest_offset: a joint further off was mistaken for another one; it is not learned from.
    """

    share: float = 0.47
    deviation: float = 1.5
    drift: float = 0.45
    per_doubt: float = 4.0
    largest_deviation: float = 5.0
    memory: float = 0.87
    adaptation: float = 0.15
    largest_offset: float = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class FlowState:
    """What the last frame left.

    Attributes:
        heatmaps: its heat-maps (K, h, w).
        roi: the region they describe.
        preliminary: what BodyNet alone made of that region, (K, h, w).
        view: the region in grey.
        joints: float64 (K, 2) x, y in cells; NaN where not known.
        scores: float64 (K,) of the head's joints.
        deviations: float64 (K,) of the joints, in cells.
        offsets: float64 (K, 2) from BodyNet's joints to these, as far as it lasts.
        previous: the state before, without its own; ``None`` where the head ran.
    """

    heatmaps: Heatmaps
    roi: Roi
    preliminary: Heatmaps
    view: View
    joints: Doubles
    scores: Doubles
    deviations: Doubles
    offsets: Doubles
    previous: FlowState | None = None


class FlowPropagation:
    """PPN whose propagation unit is the optical flow of the joints.

    As in the paper a heavy HeadNet starts the track, on every other frame a light BodyNet proposes
    heat-maps p_t, and the last heat-maps are brought to where the joints went:
    h_t = p_t + PPU(h_{t-1}) (section 3). Here the joints of the last frame are followed by
    Lucas-Kanade flow, forward and backward, and stand as Gaussians beside p_t, the wider the longer
    they were followed and the less flow can be trusted. A learned unit sees heat-maps only, and
    forgets a stronger head within a few frames; the picture shows where its joints went.

    BodyNet errs alike in neighbouring frames. Where it differs from the head, its heat-maps are
    therefore shifted by an offset that fades.

    Args:
        spec: geometry of crop and heat-maps; the crop is the whole region.
        head: HeadNet: ``image`` to ``heatmaps``.
        body: BodyNet: ``image`` to ``heatmaps``.
        settings: how both are weighted.

    Raises:
        BundleFormatError: the crop is not square.
    """

    can_propagate = True

    def __init__(
        self,
        spec: MethodSpec,
        head: Network,
        body: Network,
        settings: FlowSettings | None = None,
    ) -> None:
        if spec.view.shape[:2] != (spec.input_size, spec.input_size):
            raise BundleFormatError(
                f"Propagation by optical flow needs a crop of {spec.input_size}x{spec.input_size} "
                f"pixels, the whole region; the bundle's has {spec.view.shape[:2]}."
            )
        self.spec = spec
        self._head = head
        self._body = body
        self._settings = settings or FlowSettings()
        self._flow = JointFlow(spec.skeleton.num_joints, spec.skeleton.limbs)

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:  # noqa: ARG002 - Method's signature
        """Return BodyNet's own heat-maps: they cost a small part of HeadNet's."""
        return self._run_body(crop)

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Run HeadNet, and BodyNet to learn where it differs."""
        heatmaps = self._head.infer({"image": crop[None]})["heatmaps"][0]
        return self._started(heatmaps, crop, roi)

    def begin(self, crop: Crop, roi: Roi) -> Estimate:
        """Start with BodyNet in place of HeadNet."""
        return self._started(self._run_body(crop), crop, roi)

    def advance(self, crop: Crop, roi: Roi, state: FlowState) -> Estimate:
        """Run BodyNet, and fuse its heat-maps with the joints that flow expects."""
        return self._fused(self._run_body(crop), _grey_view(crop), roi, state)

    def propagate(
        self, heatmaps: Heatmaps, roi: Roi, state: FlowState, *, same_frame: bool = False
    ) -> Estimate:
        """Repeat a frame's step from other heat-maps of the frame before, or take those of it."""
        if same_frame or state.previous is None:
            return self._placed(heatmaps, state)
        before = self._placed(heatmaps, replace(state.previous, roi=roi)).state
        return self._fused(state.preliminary, state.view, state.roi, before)

    def preliminary(self, state: FlowState) -> Heatmaps:
        """Return BodyNet's own heat-maps."""
        return state.preliminary

    def replaced(self, estimate: Estimate, heatmaps: Heatmaps) -> Estimate:
        """Let the next step start from other heat-maps."""
        placed = self._placed(heatmaps, estimate.state)
        return replace(placed, origin=estimate.origin)

    def _run_body(self, crop: Crop) -> Heatmaps:
        heatmaps: Heatmaps = self._body.infer({"image": crop[None]})["heatmaps"][0]
        return heatmaps

    def _started(self, heatmaps: Heatmaps, crop: Crop, roi: Roi) -> Estimate:
        nothing = np.zeros(0)
        preliminary = self._run_body(crop)
        state = FlowState(
            heatmaps, roi, preliminary, _grey_view(crop), nothing, nothing, nothing, nothing
        )
        return replace(self._placed(heatmaps, state), origin=Origin.INITIALISED)

    def _placed(self, heatmaps: Heatmaps, state: FlowState) -> Estimate:
        """Return an estimate whose joints are those of heat-maps of the state's frame."""
        found = decode_heatmaps(heatmaps).astype(np.float64)
        joints = found[:, :2]
        settled = replace(
            state,
            heatmaps=heatmaps,
            joints=joints,
            scores=found[:, 2],
            deviations=np.full(len(found), self._settings.deviation),
            offsets=self._plausible(joints - decode_heatmaps(state.preliminary)[:, :2]),
        )
        return Estimate(heatmaps, settled, Origin.PROPAGATED)

    def _fused(self, preliminary: Heatmaps, view: View, roi: Roi, last: FlowState) -> Estimate:
        settings, spec = self._settings, self.spec
        there, doubt = self._flow.propagate(last.view, view, self._in_view(last.joints))
        joints = self._in_cells(there)
        doubt = np.nan_to_num(doubt) * (spec.heatmap_size / VIEW_SIZE)
        growth = settings.drift + settings.per_doubt * doubt
        deviations = np.minimum(np.hypot(last.deviations, growth), settings.largest_deviation)
        offsets = settings.memory * last.offsets
        expected = ExpectedJoints(joints, deviations, last.scores)
        heatmaps = fuse_heatmaps(preliminary, offsets, expected, settings.share)
        joints = decode_heatmaps(heatmaps)[:, :2].astype(np.float64)
        apart = joints - decode_heatmaps(preliminary)[:, :2]
        offsets = offsets + settings.adaptation * self._plausible(apart - offsets, apart)
        state = FlowState(
            heatmaps,
            roi,
            preliminary,
            view,
            joints,
            last.scores,
            deviations,
            offsets,
            replace(last, previous=None),
        )
        return Estimate(heatmaps, state, Origin.PROPAGATED)

    def _plausible(self, offsets: Doubles, apart: Doubles | None = None) -> Doubles:
        """Return offsets (K, 2), zero where joints are too far apart to be the same."""
        distance = np.hypot(*(offsets if apart is None else apart).T)
        with np.errstate(invalid="ignore"):
            return np.where((distance <= self._settings.largest_offset)[:, None], offsets, 0.0)

    def _in_view(self, cells: Doubles) -> Doubles:
        """Return joints (K, 2) of heat-maps in pixels of the grey view."""
        zoom = VIEW_SIZE / self.spec.input_size
        return (cells * self.spec.stride + self.spec.offset + 0.5) * zoom - 0.5

    def _in_cells(self, places: Doubles) -> Doubles:
        zoom = VIEW_SIZE / self.spec.input_size
        return ((places + 0.5) / zoom - 0.5 - self.spec.offset) / self.spec.stride


def _grey_view(crop: Crop) -> View:
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (VIEW_SIZE, VIEW_SIZE), interpolation=cv2.INTER_AREA)
    return view_of(np.asarray(small, np.uint8))
