"""A time line of the sample clip: on which frames the networks run, and what the others show."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import edgepose
from benchmarks.figures.svg import BLUE, GREY, ORANGE, Canvas, Point

CLIP = Path(__file__).parents[2] / "samples" / "clips" / "balance.mp4"
JOINT = "right_wrist"
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 836, 60, 250


class Track(NamedTuple):
    """The height of a joint in each frame, (T,) in pixels, and the frames that networks saw."""

    heights: NDArray[np.float64]
    processed: list[int]


def draw_key_frames(path: Path) -> None:
    """Draw the height of a wrist with the networks on every frame, and on key frames alone."""
    every, some = _track(None), _track(edgepose.KeyFrames(max_key_rate=0.25, lag_frames=8))
    canvas = Canvas(860, 350, "Key frames on a time line")
    low, high = float(np.nanmin(every.heights)), float(np.nanmax(every.heights))

    def at(frame: int, height: float) -> Point:
        x = _LEFT + (_RIGHT - _LEFT) * frame / (len(every.heights) - 1)
        return x, _TOP + (_BOTTOM - _TOP) * (height - low) / (high - low)

    canvas.line((at(*each) for each in enumerate(every.heights)), color="#b1bac4", width=5)
    canvas.line((at(*each) for each in enumerate(some.heights)), color=BLUE, width=1.8)
    for frame in some.processed:
        canvas.dot(at(frame, some.heights[frame]), 4, color=ORANGE)
        x = at(frame, 0)[0]
        canvas.line([(x, 272), (x, 290)], color=ORANGE, width=3)
    _label(canvas, some, len(every.heights))
    canvas.write(path)


def _track(key_frames: edgepose.KeyFrames | None) -> Track:
    with edgepose.PoseTracker("ppn-swift", num_threads=1, key_frames=key_frames) as tracker:
        results = list(tracker.stream(CLIP))
    joints = [result.joint(JOINT) for result in results]
    heights = np.array([np.nan if joint is None else joint[1] for joint in joints])
    skipped = (edgepose.Origin.PREDICTED, edgepose.Origin.INTERPOLATED)
    return Track(heights, [r.frame_id for r in results if r.origin not in skipped])


def _label(canvas: Canvas, some: Track, frames: int) -> None:
    canvas.text((_LEFT, 28), "Height of the right wrist", anchor="start", bold=True, size=15)
    canvas.text((_LEFT - 12, _TOP), "up", anchor="end", color=GREY)
    canvas.text((_LEFT - 12, _BOTTOM), "down", anchor="end", color=GREY)
    canvas.text((_LEFT - 12, 281), "key frames", anchor="end", color=ORANGE, size=12)
    for frame in range(0, frames, 20):
        x = _LEFT + (_RIGHT - _LEFT) * frame / (frames - 1)
        canvas.text((x, 306), str(frame), color=GREY, size=12)
    legend = f"networks on {len(some.processed)} of {frames} frames"
    canvas.line([(300, 330), (330, 330)], color=BLUE, width=1.8)
    canvas.text((338, 330), legend, anchor="start", size=12)
    canvas.line([(560, 330), (590, 330)], color="#b1bac4", width=5)
    canvas.text((598, 330), "networks on every frame", anchor="start", size=12)
