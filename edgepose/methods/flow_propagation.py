"""PosePropagationNet with optical flow in place of the learned propagation unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.methods.base import Crop, Estimate, FollowedJoints, Heatmaps, MethodSpec, Step
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.geometry.roi import Roi, frame_to_crop
from edgepose_runtime.heatmaps.propagation import FlowSettings, HeatmapFlow
from edgepose_runtime.poses.grey_view import View, view_of_crop


@dataclass(frozen=True, slots=True, eq=False)
class FlowState:
    """What the last frame left.

    Attributes:
        heatmaps: its heat-maps (K, h, w).
        roi: the region they describe.
        preliminary: what BodyNet alone made of that region, (K, h, w).
        view: the region in grey.
        known: float64 (K, 6), what is known of the joints; see
            :class:`~edgepose_runtime.heatmaps.propagation.HeatmapFlow`.
        previous: the state before, without its own; ``None`` where the head ran.
    """

    heatmaps: Heatmaps
    roi: Roi
    preliminary: Heatmaps
    view: View
    known: NDArray[np.float64]
    previous: FlowState | None = None


@dataclass(frozen=True, slots=True, eq=False)
class HeadState:
    """What a frame left on which the head alone ran.

    Attributes:
        heatmaps: of the head, (K, h, w).
        roi: the region they describe.
        crop: what BodyNet will be shown of it, should a frame follow.
    """

    heatmaps: Heatmaps
    roi: Roi
    crop: Crop


@dataclass(frozen=True, slots=True, eq=False)
class FollowedState:
    """What is known when frames were passed over since the networks last ran.

    Attributes:
        last: what the frame left on which they ran.
        joints: where its joints are now.
    """

    last: FlowState | HeadState
    joints: FollowedJoints


class FlowPropagation:
    """PPN whose propagation unit is the optical flow of the joints.

    As in the paper a heavy HeadNet starts the track, on every other frame a light BodyNet proposes
    heat-maps p_t, and the last heat-maps are brought to where the joints went:
    h_t = p_t + PPU(h_{t-1}) (section 3). Here the joints of the last frame are followed by
    Lucas-Kanade flow, forward and backward, and stand as Gaussians beside p_t, the wider the longer
    they were followed and the less flow can be trusted. A learned unit sees heat-maps only, and
    forgets a stronger head within a few frames; the picture shows where its joints went.

    BodyNet errs alike in neighbouring frames. Where it differs from the head, its heat-maps are
    therefore shifted by an offset that fades. BodyNet processes the head's frame for that as well,
    when a frame follows on which it runs: else it was not needed.

    Args:
        spec: geometry of crop and heat-maps, whose pixels must be the same.
        head: HeadNet: ``image`` to ``heatmaps``.
        body: BodyNet: ``image`` to ``heatmaps``.
        settings: how both are weighted.

    Raises:
        BundleFormatError: the pixels of the crop are not those of the region.
    """

    can_propagate = True

    def __init__(
        self, spec: MethodSpec, head: Network, body: Network, settings: FlowSettings | None = None
    ) -> None:
        _require_region_pixels(spec)
        self.spec = spec
        self._head = head
        self._body = body
        self._flow = HeatmapFlow(
            spec.skeleton.num_joints,
            spec.skeleton.limbs,
            input_size=spec.input_size,
            stride=spec.stride,
            offset=spec.offset,
            settings=settings,
        )

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:  # noqa: ARG002 - Method's signature
        """Return BodyNet's own heat-maps: they cost a small part of HeadNet's."""
        return self._run_body(crop)

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Run HeadNet."""
        heatmaps: Heatmaps = self._head.infer({"image": crop[None]})["heatmaps"][0]
        # The crop is a buffer that the next frame overwrites.
        return Estimate(heatmaps, HeadState(heatmaps, roi, crop.copy()), Origin.INITIALISED)

    def begin(self, crop: Crop, roi: Roi) -> Estimate:
        """Start with BodyNet in place of HeadNet."""
        heatmaps = self._run_body(crop)
        state = self._started(heatmaps, heatmaps, crop, roi)
        return Estimate(heatmaps, state, Origin.INITIALISED)

    def followed(
        self, state: FlowState | HeadState, joints: FollowedJoints
    ) -> FlowState | HeadState | FollowedState:
        """Return the state to advance from, when frames were passed over after the one it is of."""
        return FollowedState(state, joints) if joints.start is state else state

    def advance(
        self, crop: Crop, roi: Roi, state: FlowState | HeadState | FollowedState
    ) -> Estimate:
        """Run BodyNet, and fuse its heat-maps with the joints that flow expects."""
        last, joints = _unpacked(state)
        if isinstance(last, HeadState):
            last = self._continued(last)
        return self._fused(crop, roi, last, joints, self._run_body(crop))

    def advance_all(self, steps: Sequence[Step]) -> list[Estimate]:
        """Run BodyNet on all crops at once, and fuse each person's as :meth:`advance` does."""
        before = [_unpacked(step.state) for step in steps]
        heads = [last for last, _ in before if isinstance(last, HeadState)]
        crops = [last.crop for last in heads] + [step.crop for step in steps]
        maps = iter(self._body.infer({"image": np.stack(crops)})["heatmaps"])
        lasts = [
            self._started(last.heatmaps, next(maps), last.crop, last.roi)
            if isinstance(last, HeadState)
            else last
            for last, _ in before
        ]
        return [
            self._fused(step.crop, step.roi, last, joints, next(maps))
            for step, last, (_, joints) in zip(steps, lasts, before, strict=True)
        ]

    def propagate(
        self,
        heatmaps: Heatmaps,
        roi: Roi,
        state: FlowState | HeadState,
        *,
        same_frame: bool = False,
    ) -> Estimate:
        """Repeat a frame's step from other heat-maps of the frame before, or take those of it."""
        if isinstance(state, HeadState):
            state = self._continued(state)
        last = state.previous
        if same_frame or last is None:
            return self._placed(heatmaps, state)
        before = replace(
            last, heatmaps=heatmaps, roi=roi, known=self._flow.place(heatmaps, last.preliminary)
        )
        fused, known = self._flow.propagate(
            before.view, state.view, state.preliminary, before.known
        )
        after = replace(state, heatmaps=fused, known=known, previous=before)
        return Estimate(fused, after, Origin.PROPAGATED)

    def preliminary(self, state: FlowState | HeadState) -> Heatmaps:
        """Return BodyNet's own heat-maps."""
        return self._run_body(state.crop) if isinstance(state, HeadState) else state.preliminary

    def replaced(self, estimate: Estimate, heatmaps: Heatmaps) -> Estimate:
        """Let the next step start from other heat-maps."""
        state = estimate.state
        if isinstance(state, HeadState):
            return replace(estimate, heatmaps=heatmaps, state=replace(state, heatmaps=heatmaps))
        return replace(self._placed(heatmaps, state), origin=estimate.origin)

    def _fused(
        self,
        crop: Crop,
        roi: Roi,
        state: FlowState,
        joints: FollowedJoints | None,
        preliminary: Heatmaps,
    ) -> Estimate:
        """Return BodyNet's heat-maps of a frame, fused with the joints that flow expects."""
        view = view_of_crop(crop, self.spec.input_size)
        if joints is None:
            heatmaps, known = self._flow.propagate(state.view, view, preliminary, state.known)
        else:  # flow over a longer way at once would lose them
            known = self._moved(state.known, joints, roi)
            heatmaps, known = self._flow.fuse(preliminary, known)
        last = replace(state, previous=None)
        return Estimate(
            heatmaps,
            FlowState(heatmaps, roi, preliminary, view, known, last),
            Origin.PROPAGATED,
        )

    def _moved(
        self, known: NDArray[np.float64], joints: FollowedJoints, roi: Roi
    ) -> NDArray[np.float64]:
        places = frame_to_crop(joints.joints, roi, self.spec.input_size)
        cells = ((places - self.spec.offset) / self.spec.stride).astype(np.float64)
        side = self.spec.input_size / self.spec.stride
        doubts = side * joints.doubts, side * side * joints.squared_doubts
        return self._flow.moved(known, cells, joints.frames, *doubts)

    def _run_body(self, crop: Crop) -> Heatmaps:
        heatmaps: Heatmaps = self._body.infer({"image": crop[None]})["heatmaps"][0]
        return heatmaps

    def _started(
        self, heatmaps: Heatmaps, preliminary: Heatmaps, crop: Crop, roi: Roi
    ) -> FlowState:
        known = self._flow.place(heatmaps, preliminary)
        view = view_of_crop(crop, self.spec.input_size)
        return FlowState(heatmaps, roi, preliminary, view, known)

    def _continued(self, state: HeadState) -> FlowState:
        """Return the state of the head's frame, now that a frame follows."""
        crop = state.crop
        return self._started(state.heatmaps, self._run_body(crop), crop, state.roi)

    def _placed(self, heatmaps: Heatmaps, state: FlowState) -> Estimate:
        """Return an estimate that starts from heat-maps of the state's frame."""
        known = self._flow.place(heatmaps, state.preliminary)
        placed = replace(state, heatmaps=heatmaps, known=known)
        return Estimate(heatmaps, placed, Origin.PROPAGATED)


def _require_region_pixels(spec: MethodSpec) -> None:
    size, view = spec.input_size, spec.view
    expected = tuple(size * part for part in view.window)
    if not np.allclose((view.width, view.height), expected):
        raise BundleFormatError(
            "Propagation by optical flow needs a crop whose pixels are those of the region, "
            f"{expected[0]:g}x{expected[1]:g} for this window of a region of {size}x{size}; the "
            f"bundle's crop has {view.width}x{view.height}."
        )


def _unpacked(
    state: FlowState | HeadState | FollowedState,
) -> tuple[FlowState | HeadState, FollowedJoints | None]:
    """Return what the last frame left, and its joints if they were followed since."""
    return (state.last, state.joints) if isinstance(state, FollowedState) else (state, None)
