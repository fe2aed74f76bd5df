"""Helpers for tests of programs that track poses: a model that sees what a test puts there.

::

    method = FakeMethod()
    tracker = edgepose.PoseTracker(fake_model(method))
    method.person = standing_person((160, 120), height=120)
    result = tracker.track(np.zeros((240, 320, 3), np.uint8))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import PoseModel
from edgepose.methods.base import Crop, Estimate, Heatmaps, MethodSpec
from edgepose.results import Origin
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi, frame_to_crop
from edgepose_runtime.poses.skeletons import PENN13, Skeleton

_SPREAD_CELLS = 2.0

#: A standing person: x and y of the joints of penn13 in parts of the height, from the middle.
_STANDING = (
    (0.0, -0.45), (-0.11, -0.3), (0.11, -0.3), (-0.15, -0.12), (0.15, -0.12), (-0.16, 0.05),
    (0.16, 0.05), (-0.07, 0.02), (0.07, 0.02), (-0.08, 0.26), (0.08, 0.26), (-0.09, 0.5),
    (0.09, 0.5),
)  # fmt: skip


def standing_person(
    center: tuple[float, float], height: float, score: float = 1.0
) -> NDArray[np.float32]:
    """Return the joints (13, 3) of a person who stands around a point, in pixels, with scores."""
    joints = np.asarray(_STANDING) * height + center
    return np.column_stack([joints, np.full(len(joints), score)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Call:
    """What a fake method was asked: ``"locate"``, ``"initialise"`` or ``"advance"``, and where."""

    kind: str
    roi: Roi


class FakeMethod:
    """A method without networks: its heat-maps show the person that the test puts there.

    Attributes:
        person: joints (K, 3), x and y in frame pixels and score, or ``None`` for nobody.
        error: raised by the next call, which forgets it.
        calls: all calls so far.
        spec: geometry of crop and heat-maps.
    """

    def __init__(
        self,
        person: NDArray[np.float32] | None = None,
        *,
        skeleton: Skeleton = PENN13,
        reinitialise_every: int | None = None,
        smallest: float = 0.2,
    ) -> None:
        """Make a method.

        Args:
            person: the first person to see.
            skeleton: names the joints.
            reinitialise_every: what the pretended bundle recommends.
            smallest: people less high or wide than this part of a crop are not seen.
        """
        self.person = person
        self.error: Exception | None = None
        self.calls: list[Call] = []
        self.spec = MethodSpec(
            skeleton=skeleton,
            input_size=256,
            view=InputView(256, 256),
            heatmap_size=64,
            stride=4.0,
            offset=1.5,
            score_threshold=0.3,
            reinitialise_every=reinitialise_every,
        )
        self._smallest = smallest

    def locate(self, crop: Crop, roi: Roi) -> Heatmaps:
        """Show the person, if there is one in the region."""
        return self._look("locate", crop, roi)

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Show the person and start counting frames."""
        return Estimate(self._look("initialise", crop, roi), 0, Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: int) -> Estimate:
        """Show the person and count on."""
        return Estimate(self._look("advance", crop, roi), state + 1, Origin.PROPAGATED)

    def count(self, kind: str) -> int:
        """Return how many calls of a kind there were."""
        return sum(call.kind == kind for call in self.calls)

    def _look(self, kind: str, crop: Crop, roi: Roi) -> Heatmaps:
        self.calls.append(Call(kind, roi))
        if self.error is not None:
            try:
                # Not from a local variable: error and frame would keep each other alive.
                raise self.error
            finally:
                self.error = None
        if crop.shape != self.spec.view.shape:
            raise ValueError(f"The tracker handed over a crop of shape {crop.shape}.")
        return self._heatmaps(roi)

    def _heatmaps(self, roi: Roi) -> Heatmaps:
        shape = (self.spec.skeleton.num_joints, self.spec.heatmap_size, self.spec.heatmap_size)
        heatmaps: Heatmaps = np.zeros(shape, np.float32)
        if self.person is None or np.ptp(self.person[:, :2], axis=0).max() < (
            self._smallest * roi.width
        ):
            return heatmaps
        pixels = frame_to_crop(self.person[:, :2], roi, self.spec.input_size)
        cells = (pixels - self.spec.offset) / self.spec.stride
        grid = np.arange(self.spec.heatmap_size)
        for index, ((x, y), score) in enumerate(zip(cells, self.person[:, 2], strict=True)):
            distance = (grid - x)[None, :] ** 2 + (grid - y)[:, None] ** 2
            heatmaps[index] = score * np.exp(-distance / (2 * _SPREAD_CELLS**2))
        return heatmaps


class PropagatingFakeMethod(FakeMethod):
    """A fake method that can propagate a remote head's late answers, by averaging heat-maps."""

    can_propagate = True

    def begin(self, crop: Crop, roi: Roi) -> Estimate:
        """Show the person, as the light network would."""
        return self._estimate("begin", crop, roi, Origin.INITIALISED)

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Show the person, as the own head would."""
        return self._estimate("initialise", crop, roi, Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: Any) -> Estimate:  # noqa: ARG002 - Method's signature
        """Show the person."""
        return self._estimate("advance", crop, roi, Origin.PROPAGATED)

    def propagate(self, heatmaps: Heatmaps, roi: Roi, state: Any, **_: bool) -> Estimate:  # noqa: ARG002
        """Return the mean of heat-maps and those that the frame had."""
        if self.error is not None:
            raise self.error
        mean: Heatmaps = (heatmaps + state) / 2
        return Estimate(mean, state, Origin.PROPAGATED)

    def preliminary(self, state: Any) -> Heatmaps:
        """Return what the frame showed."""
        shown: Heatmaps = state
        return shown

    def replaced(self, estimate: Estimate, heatmaps: Heatmaps) -> Estimate:
        """Return the estimate with other heat-maps."""
        return replace(estimate, heatmaps=heatmaps)

    def heatmaps(self, roi: Roi) -> Heatmaps:
        """Return what a head would say about a region."""
        return self._heatmaps(roi)

    def _estimate(self, kind: str, crop: Crop, roi: Roi, origin: Origin) -> Estimate:
        heatmaps = self._look(kind, crop, roi)
        return Estimate(heatmaps, heatmaps, origin)


def fake_model(method: FakeMethod, name: str = "fake") -> PoseModel:
    """Return a model for a tracker that runs a fake method."""
    return PoseModel(name, method)
