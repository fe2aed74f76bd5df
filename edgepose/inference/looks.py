"""What the networks look at in a frame, and several people looked at together."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from edgepose.inference.estimator import Image, Observation, PoseEstimator, StageClock
from edgepose.inference.model import PoseModel
from edgepose.methods.base import FollowedJoints
from edgepose_runtime.geometry.roi import Roi

#: So many crops at least are a batch.
LEAST_LOOKS = 2


@dataclass(slots=True, eq=False)
class Look:
    """A region of a frame in which a network looks at a person.

    Attributes:
        estimator: crops it.
        roi: the region.
        last: what the light network continues from; ``None`` for the head.
        followed: where the joints of ``last`` are now, if frames were passed over since.
        seen: what is seen there, if several people were looked at together.
    """

    estimator: PoseEstimator
    roi: Roi
    last: Observation | None
    followed: FollowedJoints | None = None
    seen: Observation | None = None

    def observe(self, image: Image, clock: StageClock, *, score_factor: float) -> Observation:
        """Return what is seen there; see :meth:`PoseEstimator.initialise` for ``score_factor``.

        Raises:
            InferenceError: a network failed.
        """
        if self.seen is not None:
            return self.seen
        if self.last is None:
            return self.estimator.initialise(image, self.roi, clock, score_factor=score_factor)
        return self.estimator.advance(image, self.roi, self.last, clock, self.followed)

    def with_head(self) -> Look:
        """Return the same look by the head."""
        return Look(self.estimator, self.roi, None)


class JointLooks:
    """Runs the light network on all people of a frame at once. For one thread at a time.

    Args:
        model: the networks of all looks. If it has none for batches, nothing is run.
    """

    def __init__(self, model: PoseModel) -> None:
        self._method = model.batch_method()

    def observe(self, image: Image, looks: Iterable[Look], clock: StageClock) -> None:
        """Find out what those looks show that the light network can do together.

        Raises:
            InferenceError: the network failed.
        """
        continuing = [(look, look.last) for look in looks if look.last is not None]
        if self._method is None or len(continuing) < LEAST_LOOKS:
            return
        start = time.perf_counter()
        steps = [
            look.estimator.prepare(image, look.roi, last, look.followed)
            for look, last in continuing
        ]
        cropped = time.perf_counter()
        estimates = self._method.advance_all(steps)
        clock.add("crop", start, cropped)
        clock.add("network", cropped)
        for (look, last), estimate in zip(continuing, estimates, strict=True):
            look.seen = look.estimator.advanced(estimate, look.roi, last, clock)
