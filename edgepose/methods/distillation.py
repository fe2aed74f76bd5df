"""Dynamic Kernel Distillation: kernels of the last frame matched against this one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.tensors import Array

Kernels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class KernelState:
    """What a frame leaves.

    Attributes:
        kernels: float32 (C, s, s).
        crop: of the frame, to distil other kernels from it when a remote head answers.
        preliminary: the encoder's own heat-maps of it, (K, h, w).
        previous: what the frame before left, itself without one; ``None`` at the start.
    """

    kernels: Kernels
    crop: Crop
    preliminary: Heatmaps
    previous: KernelState | None = None


class DistillationMethod:
    """Dynamic Kernel Distillation (DKD).

    A pose initialiser starts the track. From the features f_t and heat-maps h_t of each frame
    pose kernels are distilled, k_t = Φ(f_t, h_t), and matched against the features of the next:
    h_{t+1} = BN(U (k_t ⋆ V f_{t+1})) (section 3 of the paper).

    Kernels say what joints look like in the crop and not where they are, so nothing is moved when
    the region of the person moves. Where its size changes, so does that of the joints in the crop;
    kernels follow with the next frame, as they are distilled anew from each.

    The late answer of a remote head replaces the kernels: they are distilled from its heat-maps and
    the frame that it processed, and matched against the frames that followed.

    Args:
        spec: geometry of crop and heat-maps.
        head: the pose initialiser: ``image`` to ``heatmaps``.
        step: encoder, matching and distillator: ``image``, ``kernels``, ``start`` and ``fresh`` to
            ``heatmaps``, ``distilled`` and ``preliminary``.
    """

    def __init__(self, spec: MethodSpec, head: Network, step: Network) -> None:
        self.spec = spec
        self._head = head
        self._step = step
        maps = (spec.skeleton.num_joints, spec.heatmap_size, spec.heatmap_size)
        self._no_maps: Heatmaps = np.zeros(maps, np.float32)
        shape = tuple(int(side) for side in step.inputs["kernels"].shape[1:])
        self._no_kernels: Kernels = np.zeros(shape, np.float32)

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:  # noqa: ARG002 - Method's signature
        """Return the encoder's own heat-maps: they cost a small part of the initialiser's."""
        heatmaps: Heatmaps = self._run(crop, self._no_kernels)["preliminary"][0]
        return heatmaps

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:  # noqa: ARG002 - Method's signature
        """Run the initialiser, and distil kernels from its heat-maps."""
        heatmaps = self._head.infer({"image": crop[None]})["heatmaps"][0]
        # The crop is a buffer that the next frame overwrites.
        return self._started(crop.copy(), heatmaps)

    def begin(self, crop: Crop, roi: Roi) -> Estimate:
        """Start with the encoder in place of the initialiser."""
        return self._started(crop.copy(), self.locate(crop, roi))

    def advance(self, crop: Crop, roi: Roi, state: KernelState) -> Estimate:  # noqa: ARG002 - as above
        """Match the last frame's kernels, and distil those of this frame."""
        return self._matched(crop.copy(), replace(state, previous=None))

    @property
    def can_propagate(self) -> bool:
        """Whether late answers can be propagated: always, for the step distils as well."""
        return True

    def propagate(
        self,
        heatmaps: Heatmaps,
        roi: Roi,  # noqa: ARG002 - as above
        state: KernelState,
        *,
        same_frame: bool = False,
    ) -> Estimate:
        """Match kernels of other heat-maps of the frame before, or distil those of this frame."""
        if same_frame or state.previous is None:
            return self._restarted(heatmaps, state)
        return self._matched(state.crop, self._restarted(heatmaps, state.previous).state)

    def preliminary(self, state: KernelState) -> Heatmaps:
        """Return the encoder's own heat-maps."""
        return state.preliminary

    def replaced(self, estimate: Estimate, heatmaps: Heatmaps) -> Estimate:
        """Let the next frame be matched with kernels of other heat-maps."""
        return replace(self._restarted(heatmaps, estimate.state), origin=estimate.origin)

    def _started(self, crop: Crop, heatmaps: Heatmaps) -> Estimate:
        found = self._run(crop, self._no_kernels, heatmaps)
        state = KernelState(found["distilled"][0], crop, found["preliminary"][0])
        return Estimate(found["heatmaps"][0], state, Origin.INITIALISED)

    def _restarted(self, heatmaps: Heatmaps, state: KernelState) -> Estimate:
        """Return an estimate with kernels of other heat-maps of the frame that left the state."""
        kernels = self._run(state.crop, self._no_kernels, heatmaps)["distilled"][0]
        return Estimate(heatmaps, replace(state, kernels=kernels), Origin.MATCHED)

    def _matched(self, crop: Crop, last: KernelState) -> Estimate:
        found = self._run(crop, last.kernels)
        state = KernelState(found["distilled"][0], crop, found["preliminary"][0], last)
        return Estimate(found["heatmaps"][0], state, Origin.MATCHED)

    def _run(
        self, crop: Crop, kernels: Kernels, start: Heatmaps | None = None
    ) -> dict[str, NDArray[np.float32]]:
        feeds: dict[str, Array] = {
            "image": crop[None],
            "kernels": kernels[None],
            "start": (self._no_maps if start is None else start)[None],
            "fresh": np.full((1, 1, 1, 1), start is not None, np.float32),
        }
        return self._step.infer(feeds)
