"""Time per frame of a tracked person outside the networks, which are replaced by stubs.

``python -m benchmarks overhead`` prints the median of every stage in ms, with default smoothing.
Only where the networks' time would be is the realignment of the last heat-maps into the new region.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from edgepose.evaluation.report import Table, markdown
from edgepose.methods import Estimate
from edgepose.methods.base import Crop
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import realign_heatmaps

STAGES = ("crop", "realign", "decode", "follow")
STEP_MS = 33.0


class StubPropagation(FakeMethod):
    """Realigns heat-maps as propagation does, and measures how long it and its networks took.

    Attributes:
        realign_s: of the last frame.
        network_s: of the last frame, which the drawing of heat-maps took instead.
    """

    realign_s = network_s = 0.0

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Draw heat-maps."""
        estimate = super().initialise(crop, roi)
        return Estimate(estimate.heatmaps, (estimate.heatmaps, roi), estimate.origin)

    def advance(self, crop: Crop, roi: Roi, state: Any) -> Estimate:
        """Realign the last heat-maps and draw new ones."""
        start = time.perf_counter()
        realign_heatmaps(*state, roi)
        between = time.perf_counter()
        estimate = super().advance(crop, roi, 0)
        self.realign_s, self.network_s = between - start, time.perf_counter() - between
        return Estimate(estimate.heatmaps, (estimate.heatmaps, roi), estimate.origin)


def main(words: Sequence[str] | None = None) -> None:
    """Track somebody who walks and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks overhead", description=__doc__)
    parser.add_argument("--size", default="1280x720", help="of the frames (default: 1280x720)")
    parser.add_argument("--height", type=int, default=360, help="of the person in pixels")
    parser.add_argument("--input", type=int, default=192, help="side of the crop in pixels")
    parser.add_argument("--frames", type=int, default=400, metavar="N")
    args = parser.parse_args(words)
    cv2.setNumThreads(1)
    width, height = (int(side) for side in args.size.split("x"))
    print(table(measure(width, height, args.height, args.frames, args.input)))


def measure(width: int, height: int, person: int, frames: int, side: int = 192) -> dict[str, float]:
    """Return the median ms of each stage, and of all outside the networks.

    Args:
        width: of the frames in pixels.
        height: of the frames in pixels.
        person: their height in pixels.
        frames: how many are tracked.
        side: of the crop in pixels.
    """
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    method = StubPropagation(standing_person((width / 3, height / 2), person))
    cells = round(side / method.spec.stride)
    method.spec = replace(
        method.spec, input_size=side, heatmap_size=cells, view=InputView(side, side)
    )
    tracker = PoseTracker(fake_model(method))
    tracker.warmup()
    tracker.track(image, timestamp_ms=0.0)
    rows = []
    for number in range(1, frames + 1):
        middle = width / 3 + 20 * np.sin(number / 10), height / 2
        method.person = standing_person(middle, person)
        start = time.perf_counter()
        latency = tracker.track(image, timestamp_ms=number * STEP_MS).latency
        outside = time.perf_counter() - start - method.network_s
        known = {**latency, "realign": 1e3 * method.realign_s}
        rows.append([*(known[stage] for stage in STAGES), 1e3 * outside])
    medians = np.median(rows, axis=0).tolist()
    return dict(zip((*STAGES, "all outside the networks"), medians, strict=True))


def table(medians: dict[str, float]) -> str:
    """Return the figures in Markdown."""
    rows = tuple((stage, f"{value:.3f}") for stage, value in medians.items())
    return markdown(Table("Outside the networks", ("", "ms"), rows))
