"""The interface of temporal methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgepose.results import Origin
from edgepose_runtime.bundles.manifest import Manifest
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import decode_to_frame
from edgepose_runtime.poses.skeletons import Skeleton, get_skeleton

Crop = NDArray[np.uint8]
Heatmaps = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """What a method takes and returns.

    Attributes:
        skeleton: names the K heat-maps.
        input_size: side of a region in the pixels that ``stride`` and ``offset`` count.
        heatmap_size: cells along each side of a heat-map.
        stride: pixels from one heat-map cell to the next.
        offset: pixel of the first cell's centre.
        score_threshold: below this score a joint is not to be trusted.
        reinitialise_every: after how many frames the head should run again, ``None`` for never.
        view: what the networks see of a region.
    """

    skeleton: Skeleton
    input_size: int
    heatmap_size: int
    stride: float
    offset: float
    score_threshold: float
    reinitialise_every: int | None
    view: InputView

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> MethodSpec:
        """Return the specification in a bundle's manifest."""
        return cls(
            skeleton=get_skeleton(manifest.skeleton),
            input_size=manifest.input.size,
            heatmap_size=manifest.heatmap.size,
            stride=manifest.heatmap.stride,
            offset=manifest.heatmap.offset,
            score_threshold=manifest.score_threshold,
            reinitialise_every=manifest.reinitialise_every,
            view=manifest.input.view,
        )

    def decode(self, heatmaps: Heatmaps, roi: Roi) -> NDArray[np.float32]:
        """Return the joints (K, 3) of heat-maps (K, h, w): x, y in frame pixels and score.

        Args:
            heatmaps: the network's output for the crop of ``roi``.
            roi: the region of the frame that was cropped.
        """
        return decode_to_frame(heatmaps, roi, self.stride, self.offset)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What a method makes of one crop.

    Attributes:
        heatmaps: float32 (K, h, w), about 1 at a joint and 0 elsewhere.
        state: whatever the method wants back with the next frame; never changed afterwards, so
            that a frame that fails leaves the one before it intact.
        origin: how the heat-maps came about.
    """

    heatmaps: Heatmaps
    state: Any
    origin: Origin


@dataclass(frozen=True, slots=True, eq=False)
class FollowedJoints:
    """The last pose, followed by optical flow through frames that no network processed.

    Attributes:
        joints: float64 (K, 2) where it is in the next frame, in frame pixels; NaN where unknown.
        frames: how many frames it was followed through, the next one included.
        doubts: (K,) sum over these of how far off each joint is when followed back, in sides of
            the region; NaN where unknown.
        squared_doubts: (K,) sum of their squares.
        start: state of the frame in which they began to be followed.
    """

    joints: NDArray[np.float64]
    frames: int
    doubts: NDArray[np.float64]
    squared_doubts: NDArray[np.float64]
    start: Any


class Method(Protocol):
    """A temporal method with its networks.

    It keeps nothing between calls: the state of a stream is handed back and forth, so one method
    serves any number of streams. Calls may come from any thread, several at a time.

    All crops are uint8 BGR, made of a region by ``spec.view``.
    """

    @property
    def spec(self) -> MethodSpec:
        """What the method takes and returns."""

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:
        """Look for a person in a crop, as cheaply as the method can.

        Returns:
            Heat-maps (K, h, w) good enough to say whether and roughly where a person is.
        """

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Estimate a pose from this crop alone, with the best network there is."""

    def advance(self, crop: Crop, roi: Roi, state: Any) -> Estimate:
        """Estimate a pose from this crop and the state that the frame before left."""


@runtime_checkable
class FollowingMethod(Method, Protocol):
    """A method that makes use of joints which were followed from frame to frame."""

    def followed(self, state: Any, joints: FollowedJoints) -> Any:
        """Return the state to advance from, when frames were passed over after the one it is of.

        If the joints were followed from another state, as before a remote head's answer was merged,
        they are those of a pose that was corrected since: the state is returned as it is.
        """


class Step(NamedTuple):
    """What one person's step starts from; see :meth:`Method.advance`.

    Attributes:
        crop: uint8 BGR, made of the region by ``spec.view``.
        roi: the region.
        state: what the frame before left.
    """

    crop: Crop
    roi: Roi
    state: Any


@runtime_checkable
class BatchMethod(Method, Protocol):
    """A method whose light network can process the crops of several people at once."""

    def advance_all(self, steps: Sequence[Step]) -> list[Estimate]:
        """Do what :meth:`advance` does for each of several steps.

        The light network must be one that takes any number of crops.
        """


@runtime_checkable
class PropagatingMethod(Method, Protocol):
    """A method that can propagate heat-maps which another network made of an earlier frame.

    The state that each frame left must be kept for that.
    """

    @property
    def can_propagate(self) -> bool:
        """Whether :meth:`begin` and :meth:`propagate` may be called."""

    def begin(self, crop: Crop, roi: Roi) -> Estimate:
        """Estimate a pose from this crop alone with the light network, in place of the heavy."""

    def propagate(
        self, heatmaps: Heatmaps, roi: Roi, state: Any, *, same_frame: bool = False
    ) -> Estimate:
        """Propagate heat-maps to a frame that was processed already.

        Args:
            heatmaps: (K, h, w), of the frame before it.
            roi: the region that they describe.
            state: what the frame left.
            same_frame: the heat-maps are of the frame itself, by another network.

        Returns:
            The frame's estimate as it would have been, had it been started from these.
        """

    def preliminary(self, state: Any) -> Heatmaps:
        """Return what the light network alone made of the frame that left this state."""

    def replaced(self, estimate: Estimate, heatmaps: Heatmaps) -> Estimate:
        """Return an estimate with other heat-maps (K, h, w), from which the next frame goes on."""
