"""What is timed of each model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from edgepose.benchmarking.frames import BenchmarkFrames
from edgepose.benchmarking.peers import Estimator
from edgepose.benchmarking.timing import TimedNetwork, forward_and_backward
from edgepose.inference.model import PoseModel
from edgepose.methods.base import Crop
from edgepose.stats import TOTAL
from edgepose.tracker import PoseTracker
from edgepose_runtime.tensors import Array

#: The stage that stands for the networks alone, inside whatever calls them.
INFERENCE = "inference"
#: Stages of frames that are no ordinary step: somebody was looked for, or the head ran.
EXTRAORDINARY = frozenset({"search", "head"})


class TrackerTask:
    """One step of a tracker: a frame in, joints out.

    Args:
        model: made of the timed networks.
        networks: those of the model.
        benchmark_frames: tracked forward and backward.
    """

    def __init__(
        self, model: PoseModel, networks: Sequence[TimedNetwork], benchmark_frames: BenchmarkFrames
    ) -> None:
        self._networks, self._footage = networks, benchmark_frames
        self._tracker = PoseTracker(model)
        self._tracker.warmup()
        self._number = 0

    def __call__(self, step: int) -> Mapping[str, float]:
        """Return ms by stage; nothing if the person was looked for anew."""
        benchmark_frames = self._footage
        for network in self._networks:
            network.milliseconds = 0.0
        frame = benchmark_frames.frames[forward_and_backward(step, len(benchmark_frames.frames))]
        self._number += 1
        result = self._tracker.track(
            frame, timestamp_ms=self._number * benchmark_frames.interval_ms
        )
        if result.keypoints is None or EXTRAORDINARY & result.latency.keys():
            return {}
        inference = sum(network.milliseconds for network in self._networks)
        return {**result.latency, INFERENCE: inference}


class PeerTask:
    """A peer's network with its own crop and decoding, in the box around the person."""

    def __init__(
        self, estimator: Estimator, network: TimedNetwork, benchmark_frames: BenchmarkFrames
    ) -> None:
        self._estimator, self._network, self._footage = estimator, network, benchmark_frames

    def __call__(self, step: int) -> Mapping[str, float]:
        """Return ms by stage."""
        place = forward_and_backward(step, len(self._footage.frames))
        self._network.milliseconds = 0.0
        start = time.perf_counter()
        self._estimator(self._footage.frames[place], self._footage.boxes[place])
        total = 1e3 * (time.perf_counter() - start)
        return {TOTAL: total, INFERENCE: self._network.milliseconds}


class NetworkTask:
    """One network of a model by itself, on the crops that a tracker would make."""

    def __init__(self, network: TimedNetwork, crops: Sequence[Crop]) -> None:
        self._network, self._crops = network, crops
        self._others: dict[str, Array] = {
            name: np.zeros(tuple(map(int, spec.shape)), spec.dtype)
            for name, spec in network.inputs.items()
            if name != "image"
        }

    def __call__(self, step: int) -> Mapping[str, float]:
        """Return ms by stage."""
        crop = self._crops[forward_and_backward(step, len(self._crops))]
        self._network.milliseconds = 0.0
        self._network.infer({"image": crop[None], **self._others})
        return {TOTAL: self._network.milliseconds, INFERENCE: self._network.milliseconds}
