"""Dynamic Kernel Distillation: kernels of the last frame matched against this one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.backends.base import Network
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.tensors import Array

Kernels = NDArray[np.float32]


class DistillationMethod:
    """Dynamic Kernel Distillation (DKD).

    A pose initialiser starts the track. From the features f_t and heat-maps h_t of each frame
    pose kernels are distilled, k_t = Φ(f_t, h_t), and matched against the features of the next:
    h_{t+1} = BN(U (k_t ⋆ V f_{t+1})) (section 3 of the paper).

    The state of a stream is its kernels, float32 (C, s, s). They say what joints look like in the
    crop and not where they are, so nothing is moved when the region of the person moves. Where its
    size changes, so does that of the joints in the crop; kernels follow with the next frame, as
    they are distilled anew from each.

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
        start = self._head.infer({"image": crop[None]})["heatmaps"][0]
        found = self._run(crop, self._no_kernels, start)
        return Estimate(found["heatmaps"][0], found["distilled"][0], Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: Kernels) -> Estimate:  # noqa: ARG002 - as above
        """Match the last frame's kernels, and distil those of this frame."""
        found = self._run(crop, state)
        return Estimate(found["heatmaps"][0], found["distilled"][0], Origin.MATCHED)

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
