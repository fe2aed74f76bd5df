"""Pose estimation in a region of a frame: crop, network, decoding, and the time of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import PoseModel
from edgepose.methods import Estimate
from edgepose.methods.base import (
    Crop,
    FollowedJoints,
    FollowingMethod,
    MethodSpec,
    PropagatingMethod,
    Step,
)
from edgepose.results import Origin
from edgepose.stats import TOTAL
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import decode_to_frame
from edgepose_runtime.poses.roi_tracker import PoseSurvey, RoiTracker, RoiTrackerSettings
from edgepose_runtime.poses.smoothing import OneEuroFilter

Image = NDArray[np.uint8]
Keypoints = NDArray[np.float32]

#: A person who is followed may be seen less surely than one who is found: in parts of the threshold
#: of scores. Each time the head runs, it has to be sure again.
FOLLOWED_SCORE = 0.8
#: So may a person in a region that the caller gives, but little less surely: a caller may watch a
#: place where nobody is.
GIVEN_SCORE = 0.95
#: Where there is nobody, networks that were trained on people alone place joints at the border of
#: their crop, and surely. So trusted joints that are further inside than these parts of the
#: region's side, in x and y, must score so much together.
BORDER, LEAST_INSIDE = np.array([0.08, 0.03]), 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a model saw in one region of a frame.

    Attributes:
        roi: the square that was cropped.
        keypoints: float32 (K, 3): x, y in frame pixels and score.
        estimate: heat-maps, state and origin.
        key_frame_age: frames since the head ran.
        survey: whether the joints are those of a person, computed once.
    """

    roi: Roi
    keypoints: Keypoints
    estimate: Estimate
    key_frame_age: int
    survey: PoseSurvey

    @classmethod
    def of(
        cls,
        spec: MethodSpec,
        roi: Roi,
        keypoints: Keypoints,
        estimate: Estimate,
        age: int,
        *,
        score_factor: float = 1.0,
    ) -> Observation:
        """Return the observation of joints (K, 3) by a method of a specification.

        Whether they are a person's depends on ``age``, the frames since the head ran: after it,
        lower scores do (`FOLLOWED_SCORE`), and on its frame if ``score_factor`` is below 1.
        """
        factor = min(score_factor, FOLLOWED_SCORE if age > 0 else 1.0)
        criteria = person_criteria(spec.score_threshold * factor)
        within = is_inside(keypoints, roi, criteria.score_threshold)
        survey = PoseSurvey.of(keypoints, criteria, roi.width)
        if survey.is_person and not within:
            survey = PoseSurvey(is_person=False, is_empty_pose=True)
        return cls(roi, keypoints, estimate, age, survey)


def is_inside(keypoints: Keypoints, roi: Roi, min_score: float) -> bool:
    """Return whether enough joints (K, 3) of this score are away from the region's border."""
    offset = np.array([roi.x, roi.y]) + 0.5 * roi.width
    within = (np.abs(keypoints[:, :2] - offset) < (0.5 - BORDER) * roi.width).all(axis=1)
    scores = keypoints[within & (keypoints[:, 2] >= min_score), 2]
    return bool(scores.sum() >= LEAST_INSIDE)


@cache
def person_criteria(score_threshold: float) -> RoiTrackerSettings:
    """Return what counts as a person for a network with this threshold of scores."""
    return RoiTrackerSettings(score_threshold=score_threshold)


@dataclass(slots=True)
class StageClock:
    """Adds up what each stage of one frame takes. For one thread."""

    start: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the block to a stage, also if the block raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, start)

    def add(self, name: str, start: float, end: float | None = None) -> None:
        """Add the time between two moments of :func:`time.perf_counter` to a stage."""
        elapsed = ((time.perf_counter() if end is None else end) - start) * 1e3
        self.stages[name] = self.stages.get(name, 0.0) + elapsed

    def latency(self) -> dict[str, float]:
        """Return ms by stage so far, in order of first use, with the total since construction."""
        return {**self.stages, TOTAL: (time.perf_counter() - self.start) * 1e3}


class PoseEstimator:
    """Crops regions, runs a model on them and decodes its heat-maps. For one thread at a time.

    All its crops share one buffer: nothing that a method returns refers to a crop.

    Attributes:
        criteria: what counts as a person.

    Args:
        model: its networks.
        use_light_network: called before each start: whether the light network has to do, because
            the heavy one is remote.
    """

    def __init__(
        self, model: PoseModel, use_light_network: Callable[[], bool] = lambda: False
    ) -> None:
        self._model = model
        self._use_light_network = use_light_network
        self._spec = model.method.spec
        self._buffer: Crop = np.empty(self._spec.view.shape, np.uint8)
        self.criteria = person_criteria(self._spec.score_threshold)

    def locate(self, image: Image, roi: Roi, clock: StageClock) -> Keypoints:
        """Return the joints (K, 3) that the light network finds in a region, roughly."""
        crop = self._crop(image, roi, clock)
        with clock.stage("network"):
            heatmaps = self._model.method.locate(crop, roi)
        with clock.stage("decode"):
            return self._spec.decode(heatmaps, roi)

    def initialise(
        self, image: Image, roi: Roi, clock: StageClock, score_factor: float = 1.0
    ) -> Observation:
        """Estimate the pose in a region with the best network there is, from this frame alone.

        A person's joints must score so much in parts of the threshold: ``score_factor``.
        """
        crop = self._crop(image, roi, clock)
        method = self._model.method
        if self._use_light_network() and isinstance(method, PropagatingMethod):
            with clock.stage("network"):
                estimate = method.begin(crop, roi)
        else:
            with clock.stage("head"):
                estimate = method.initialise(crop, roi)
        return self._observation(estimate, roi, 0, clock, score_factor=score_factor)

    def advance(
        self,
        image: Image,
        roi: Roi,
        last: Observation,
        clock: StageClock,
        expected: FollowedJoints | None = None,
    ) -> Observation:
        """Estimate the pose in a region, continuing from the last observation.

        Args:
            image: the frame.
            roi: the region.
            last: of the last frame that the networks processed.
            clock: times the stages.
            expected: where its joints are now, if frames were passed over since.
        """
        start = time.perf_counter()
        step = self.prepare(image, roi, last, expected)
        cropped = time.perf_counter()
        estimate = self._model.method.advance(*step)
        clock.add("crop", start, cropped)
        clock.add("network", cropped)
        return self.advanced(estimate, roi, last, clock)

    def prepare(
        self, image: Image, roi: Roi, last: Observation, expected: FollowedJoints | None = None
    ) -> Step:
        """Return what :meth:`advance` gives to the method; it is overwritten by the next crop."""
        crop = self._spec.view.crop(image, roi, self._buffer)
        method, state = self._model.method, last.estimate.state
        if expected is not None and isinstance(method, FollowingMethod):
            state = method.followed(state, expected)
        return Step(crop, roi, state)

    def advanced(
        self, estimate: Estimate, roi: Roi, last: Observation, clock: StageClock
    ) -> Observation:
        """Return what the method saw when it continued from the last observation."""
        age = 0 if estimate.origin is Origin.INITIALISED else last.key_frame_age + 1
        return self._observation(estimate, roi, age, clock)

    def warmup(self) -> None:
        """Run each network once on an empty picture, and the kernels for joints on a line."""
        image = np.full((240, 320, 3), 128, np.uint8)
        here, there = Roi(0, 0, 200, 200), Roi(8, 8, 180, 180)
        clock = StageClock()
        self.locate(image, here, clock)
        observation = self.initialise(image, here, clock)
        self.advance(image, there, observation, clock)
        _warm_up_roi_tracker(self.criteria, len(observation.keypoints))

    def _crop(self, image: Image, roi: Roi, clock: StageClock) -> Crop:
        with clock.stage("crop"):
            return self._spec.view.crop(image, roi, self._buffer)

    def _observation(
        self,
        estimate: Estimate,
        roi: Roi,
        age: int,
        clock: StageClock,
        *,
        score_factor: float = 1.0,
    ) -> Observation:
        start = time.perf_counter()
        spec = self._spec
        keypoints = decode_to_frame(estimate.heatmaps, roi, spec.stride, spec.offset)
        clock.add("decode", start)
        return Observation.of(spec, roi, keypoints, estimate, age, score_factor=score_factor)


def _warm_up_roi_tracker(settings: RoiTrackerSettings, joints: int) -> None:
    """Use the kernels for joints on a line of them, in no stream's state."""
    line = np.repeat(np.linspace(1, 100, joints, dtype=np.float32)[:, None], 3, axis=1)
    tracker, smoother = RoiTracker(settings), OneEuroFilter()
    for timestamp_ms in (0.0, 33.0):
        tracker.update(line, 320, 240, timestamp_ms)
        smoother.apply(line[:, :2], timestamp_ms, 100.0)
