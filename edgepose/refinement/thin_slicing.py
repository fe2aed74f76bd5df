"""Refinement of poses by messages between neighbouring frames (Thin-Slicing)."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Observation
from edgepose.inference.model import PoseModel
from edgepose.methods import MethodSpec
from edgepose.results import Origin, PoseResult
from edgepose.stats import TOTAL
from edgepose.tracking.smoothing import OutsideJoints
from edgepose.tracking.strategies import Refinement, TrackedFrame
from edgepose_runtime.bundles.springs_json import read_springs
from edgepose_runtime.checks import is_whole_number
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.smoothing import OneEuroFilter, OneEuroSettings
from edgepose_runtime.thin_slicing.optical_flow import OpticalFlow, consistent, optical_flow
from edgepose_runtime.thin_slicing.springs import Springs, resized
from edgepose_runtime.thin_slicing.warping import sampling_grid

if TYPE_CHECKING:  # it loads numba, which a tracker without refinement does not need
    from edgepose_runtime.thin_slicing.sliding import SlidingSlice

Grey = NDArray[np.uint8]
Keypoints = NDArray[np.float32]

#: The stage of latency that stands for flow and messages.
REFINE = "refine"
#: Side of the crops that optical flow is computed on, in pixels.
FLOW_SIZE = 128
#: Later frames that a pose can wait for: each is kept in memory.
LONGEST_LAG = 100
#: Frames further apart than this, in ms, are no neighbours.
LONGEST_STEP_MS = 250.0
#: The default smoothing of refined poses: messages have calmed them already, and without the lag.
LIGHT_SMOOTHING = OneEuroSettings(min_cutoff_hz=1.0, beta=60.0, jump_speed=4.0)


@dataclass(frozen=True)
class ThinSlicing:
    """Refine poses by messages between the joints of neighbouring frames (Thin-Slicing).

    ::

        PoseTracker("ppn-swift", refine=ThinSlicing(lag_frames=2), on_result=show)

    Attributes:
        lag_frames: how many later frames a pose waits for, up to 100; its result comes so much
            later. With 0 only earlier frames help.
        springs: parameters, or a file of them; ``None`` for those of the bundle.
        flow: ``"dis"``, ``"farneback"``, ``"none"`` or a function; see ``OpticalFlow``.
        check_flow: compute the flow forward and backward, and ignore it where they disagree. That
            doubles the time for the flow.
    """

    lag_frames: int = 2
    springs: Springs | str | Path | None = None
    flow: str | OpticalFlow = "dis"
    check_flow: bool = False

    def __post_init__(self) -> None:
        if not is_whole_number(self.lag_frames) or not 0 <= self.lag_frames <= LONGEST_LAG:
            raise ConfigError(
                f"lag_frames must be a whole number of frames from 0 to {LONGEST_LAG}, each of "
                f"which is kept in memory; got {self.lag_frames!r}."
            )
        if not isinstance(self.springs, (Springs, str, Path, type(None))):
            raise ConfigError(f"springs must be Springs, a file or None; got {self.springs!r}.")
        if not isinstance(self.flow, str) and not callable(self.flow):
            raise ConfigError(f"flow must be a name or a function; got {self.flow!r}.")
        if isinstance(self.flow, str):
            optical_flow(self.flow)

    def new_refiner(
        self, model: PoseModel, smoothing: OneEuroSettings | None
    ) -> ThinSlicingRefiner:
        """Return a refiner for one stream.

        The default smoothing becomes lighter, for messages have calmed the poses already; settings
        of your own stay.

        Raises:
            ConfigError: there are no springs, or they are for another skeleton.
        """
        springs = fitting_springs(self._springs(model), model.method.spec, model.name)
        light = LIGHT_SMOOTHING if smoothing == OneEuroSettings() else smoothing
        return ThinSlicingRefiner(self, springs, model.method.spec, light)

    def _springs(self, model: PoseModel) -> Springs:
        if isinstance(self.springs, (str, Path)):
            return read_springs(self.springs)
        springs = self.springs or model.springs
        if springs is None:
            raise ConfigError(
                f"The model {model.name!r} has no springs for thin-slicing; give "
                "ThinSlicing(springs=FILE), or learn some with: edgepose springs."
            )
        return springs


#: What a tracker takes as ``refine``.
RefineOption = bool | Literal["thin-slicing"] | Refinement


def refinement(refine: RefineOption | None) -> Refinement | None:
    """Return what the option ``refine`` asks for.

    Raises:
        ConfigError: it is neither ``None``, nor a truth value, ``"thin-slicing"`` or settings.
    """
    if isinstance(refine, bool):
        return ThinSlicing() if refine else None
    if refine is None or (not isinstance(refine, str) and hasattr(refine, "new_refiner")):
        return refine
    if not isinstance(refine, str) or refine != "thin-slicing":
        raise ConfigError(
            f'refine must be True, "thin-slicing", ThinSlicing(...) or None; got {refine!r}.'
        )
    return ThinSlicing()


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """A frame of the slice."""

    grey: Grey
    observation: Observation
    result: PoseResult


class ThinSlicingRefiner:
    """Refines the frames of one stream; see :class:`~edgepose.tracking.strategies.Refiner`.

    A slice ends where the person is lost, where the frames change their size, and after a gap:
    later frames are ignored, and earlier ones are given out.

    Args:
        settings: lag and flow.
        springs: graph and parameters, fitting the heat-maps.
        spec: geometry of the heat-maps.
        smoothing: how refined joints are smoothed in time; ``None`` for not at all.
    """

    def __init__(
        self,
        settings: ThinSlicing,
        springs: Springs,
        spec: MethodSpec,
        smoothing: OneEuroSettings | None,
    ) -> None:
        self.lag_frames = settings.lag_frames
        self._spec = spec
        self._outside = OutsideJoints(spec.skeleton)
        self._reach = springs.graph.reach
        self._springs = springs
        self._slice = _new_slice(springs, settings.lag_frames)
        flow = settings.flow
        self._flow = optical_flow(flow) if isinstance(flow, str) else flow
        self._check_flow = settings.check_flow
        self._smoother = None if smoothing is None else OneEuroFilter(smoothing)
        self.reset()

    def warmup(self) -> None:
        """Use every kernel once, in a slice of empty heat-maps."""
        side = self._springs.heatmap_size
        maps = np.zeros((self._springs.graph.skeleton.num_joints, side, side), np.float32)
        still = np.zeros((side, side, 2), np.float32)
        scratch = _new_slice(self._springs, self.lag_frames)
        for _ in range(2):
            scratch.push(maps, lambda _receiver, _sender: still)
        scratch.refined(1)

    def reset(self) -> None:
        """Forget the frames that are held back, and those before."""
        self._members: deque[_Member] = deque(maxlen=self.lag_frames + 1 + self._reach)
        self._count = 0  # frames of the slice that were taken in
        self._given = 0  # and those that were given out
        self._slice.reset()
        if self._smoother is not None:
            self._smoother.reset()

    def take(self, tracked: TrackedFrame) -> list[PoseResult]:
        """Take in the next frame, and return the results that are final."""
        if tracked.observation is None or tracked.result.keypoints is None:
            return [*self.flush(), tracked.result]
        start = time.perf_counter()
        grey = cv2.cvtColor(tracked.image, cv2.COLOR_BGR2GRAY)
        member = _Member(np.asarray(grey, np.uint8), tracked.observation, tracked.result)
        ended = [] if self._continues(member) else self.flush()
        grids = self._grids(member)  # a flow of the user's may fail: nothing has changed by then
        self._members.append(member)
        self._count += 1
        self._slice.push(tracked.observation.estimate.heatmaps, lambda *numbers: grids[numbers])
        final = self._count - 1 - self.lag_frames
        return ended + ([self._refined(final, start)] if final >= 0 else [])

    def flush(self) -> list[PoseResult]:
        """Return the results of the frames that are held back, and begin a new slice."""
        held = range(self._given, self._count)
        results = [self._refined(number, time.perf_counter()) for number in held]
        self.reset()
        return results

    def _continues(self, member: _Member) -> bool:
        """Whether a frame continues the slice."""
        if not self._members:
            return True
        last = self._members[-1]
        step = member.result.timestamp_ms - last.result.timestamp_ms
        near = last.observation.roi.contains(member.observation.roi.center)
        return near and step <= LONGEST_STEP_MS and member.grey.shape == last.grey.shape

    def _refined(self, number: int, start: float) -> PoseResult:
        member = self._member(number)
        scores = self._slice.refined(number)
        self._given = number + 1
        keypoints = self._spec.decode(scores, member.observation.roi)
        self._outside.doubt(keypoints, member.grey.shape[1::-1])
        result = member.result
        if self._smoother is not None:
            keypoints[:, :2] = self._smoother.apply(
                keypoints[:, :2], result.timestamp_ms, member.observation.roi.width
            )
        took = 1e3 * (time.perf_counter() - start)
        latency = {**result.latency, REFINE: took, TOTAL: result.latency.get(TOTAL, 0.0) + took}
        return replace(result, keypoints=keypoints, origin=Origin.REFINED, latency=latency)

    def _grids(self, newest: _Member) -> dict[tuple[int, ...], NDArray[np.float32]]:
        """Return the grids between the next frame and its neighbours, by receiver and sender."""
        grids: dict[tuple[int, ...], NDArray[np.float32]] = {}
        for number in range(max(0, self._count - self._reach), self._count):
            neighbour = self._member(number)
            grids[self._count, number] = self._grid(newest, neighbour)
            grids[number, self._count] = self._grid(neighbour, newest)
        return grids

    def _grid(self, here: _Member, there: _Member) -> NDArray[np.float32]:
        """Where each cell of one frame's heat-maps comes from in another's."""
        roi = here.observation.roi
        ours, theirs = (flow_crop(each.grey, roi) for each in (here, there))
        flow = self._flow(ours, theirs)
        trusted = consistent(flow, self._flow(theirs, ours)) if self._check_flow else None
        return sampling_grid(
            flow,
            roi,
            there.observation.roi,
            self._spec.heatmap_size,
            stride=self._spec.stride,
            offset=self._spec.offset,
            trusted=trusted,
        )

    def _member(self, number: int) -> _Member:
        return self._members[number - self._count]


def fitting_springs(springs: Springs, spec: MethodSpec, name: str) -> Springs:
    """Return springs for the heat-maps of a model.

    Raises:
        ConfigError: they are for another skeleton.
    """
    if springs.graph.skeleton.name != spec.skeleton.name:
        raise ConfigError(
            f"The springs are for {springs.graph.skeleton.name}, but the model {name!r} is for "
            f"{spec.skeleton.name}; learn some for it with: edgepose springs."
        )
    same = springs.heatmap_size == spec.heatmap_size
    return springs if same else resized(springs, spec.heatmap_size)


def flow_crop(grey: Grey, roi: Roi, size: int = FLOW_SIZE) -> Grey:
    """Cut a region, rounded to pixels, out of a frame (H, W); its border is continued outside."""
    left, top = round(roi.x), round(roi.y)
    right, bottom = max(round(roi.x + roi.width), left + 1), max(round(roi.y + roi.height), top + 1)
    height, width = grey.shape
    inside = grey[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inside.size == 0:
        return np.zeros((size, size), np.uint8)
    margins = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
    if any(margins):
        inside = np.asarray(cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _new_slice(springs: Springs, lag_frames: int) -> SlidingSlice:
    from edgepose_runtime.thin_slicing.sliding import SlidingSlice

    return SlidingSlice(springs, lag_frames)
