"""How often head and shoulders alone are found: clips cut down to what a webcam shows.

``python -m benchmarks half-bodies --help`` lists the options. Writes ``half_bodies.json``. The
tracker runs with its defaults. Each clip is seen through a window that does not move, from above
the head to below the shoulders or to the waist, enlarged to a width of 320 pixels. Clips in which
the person is not upright, or would be enlarged more than `MOST_ENLARGED` times, are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clip_options import add_clip_options, selection
from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.data_sets import select_clips
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.tracker import PoseTracker
from edgepose.utils.machine import describe_machine
from edgepose_runtime.poses.conversion import convert_keypoints

OUT = Path(__file__).parents[1] / "out"
#: Lower edge of the picture below the shoulders, in lengths of the torso.
FRAMINGS = {"head and shoulders": 0.45, "waist": 1.05}
#: What is above the face, in lengths of the torso, and the picture's width and least shape.
ABOVE_FACE, WIDTH, WIDTH_BY_HEIGHT = 0.45, 320, 4 / 3
MOST_ENLARGED = 5.5
#: Joints that are further outside than this part of the picture's height are not to be seen.
OUTSIDE, SURE = 0.05, 0.3
#: A joint is right within this part of the torso.
CORRECT = 0.2


class Framed(NamedTuple):
    """A clip as its window shows it.

    Attributes:
        frames: uint8 BGR images, 320 pixels wide.
        keypoints: annotated joints (N, K, 3) in their pixels.
        torso: its median length in their pixels.
    """

    frames: list[Image]
    keypoints: NDArray[np.float32]
    torso: float


class HalfBodies(NamedTuple):
    """What was seen in all clips of one framing.

    Attributes:
        clips: how many.
        found: share of the frames with a pose, mean of the clips.
        correct: of the visible limb joints in frames with a pose, the share that is right.
        outside_sure: of the joints outside the picture, the share with a score of 0.3 or more.
    """

    clips: int
    found: float
    correct: float
    outside_sure: float


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks half-bodies", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    add_clip_options(parser)
    parser.add_argument("--split", choices=("selection", "final", "val"), default="selection")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Track half bodies, print and write what was found."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    clips = select_clips(selection(args, args.split))
    with load(args.model, num_threads=1) as model:
        found = {name: measure(model, clips, below) for name, below in FRAMINGS.items()}
    content = {
        "format": "edgepose.half-bodies",
        "machine": describe_machine(),
        "split": args.split,
        "results": {name: each._asdict() for name, each in found.items()},
    }
    (args.out / "half_bodies.json").write_text(json.dumps(content, indent=1) + "\n")
    print(markdown(table(found)))


def table(found: dict[str, HalfBodies]) -> Table:
    """Return the results as rows, in percent."""
    head = ["framing", "clips", "found", "visible joints right", "outside, scored 0.3 or more"]
    rows = [
        [name, str(each.clips), *(f"{100 * share:.1f}" for share in each[1:])]
        for name, each in found.items()
    ]
    return Table("", head, rows)


def measure(model: PoseModel, clips: Sequence[Clip], below: float) -> HalfBodies:
    """Track the clips that can be framed; ``below`` as in `FRAMINGS`."""
    found, right, sure = [], [], []
    for clip in clips:
        framed = frame_clip(clip, below)
        if framed is None:
            continue
        truth = convert_keypoints(framed.keypoints, clip.skeleton, model.skeleton)
        poses = _track(model, framed.frames, clip.fps)
        found.append(np.mean([pose is not None for pose in poses]))
        for pose, joints, image in zip(poses, truth, framed.frames, strict=True):
            if pose is not None:
                away = distance_outside(joints, image) / image.shape[0]
                known = joints[:, 2] > 0
                near = np.hypot(*(pose - joints)[:, :2].T) <= CORRECT * framed.torso
                limbs = np.arange(len(joints)) > 0  # the face is annotated in another way
                right.append(near[known & limbs & (away <= 0)])
                sure.append(pose[known & (away > OUTSIDE), 2] >= SURE)
    return HalfBodies(len(found), _mean(found), *map(_mean, (_joined(right), _joined(sure))))


def frame_clip(clip: Clip, below: float) -> Framed | None:
    """Return what a window shows down to ``below``; ``None`` where nobody is upright and large."""
    joints = {name: clip.keypoints[:, i, :2] for i, name in enumerate(clip.skeleton.joints)}
    shoulders = (joints["left_shoulder"] + joints["right_shoulder"]) / 2
    torsos = (joints["left_hip"] + joints["right_hip"]) / 2 - shoulders
    lengths = np.linalg.norm(torsos, axis=1)
    torso = float(np.nanmedian(lengths))
    if np.mean(torsos[:, 1] > 0.8 * lengths) < 0.9:
        return None
    top = float(np.nanmin(joints["face"][:, 1])) - ABOVE_FACE * torso
    height = float(np.nanmedian(shoulders[:, 1])) + below * torso - top
    width = max(WIDTH_BY_HEIGHT * height, 1.3 * torso)
    scale = WIDTH / width
    if scale > MOST_ENLARGED:
        return None
    left = float(np.nanmedian(shoulders[:, 0])) - width / 2
    frames = [_window(image, left, top, scale, round(height * scale)) for image in clip.frames()]
    keypoints = clip.keypoints.copy()
    keypoints[..., :2] = (keypoints[..., :2] - [left, top]) * scale
    return Framed(frames, keypoints, torso * scale)


def distance_outside(joints: NDArray[np.float32], image: Image) -> NDArray[np.float32]:
    """Return how far joints (K, 3) are outside the picture, in pixels; negative inside."""
    height, width = image.shape[:2]
    x, y = joints[:, 0], joints[:, 1]
    return np.maximum.reduce([-x, x - (width - 1), -y, y - (height - 1)])


def _window(image: Image, left: float, top: float, scale: float, height: int) -> Image:
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    # Where the window leaves the frame, its edge goes on.
    border = cv2.BORDER_REPLICATE
    return cv2.warpAffine(image, matrix, (WIDTH, height), borderMode=border)


def _track(
    model: PoseModel, frames: Sequence[Image], fps: float
) -> list[NDArray[np.float32] | None]:
    with PoseTracker(model) as tracker:
        return [
            tracker.track(frame, timestamp_ms=1000 * index / fps).keypoints
            for index, frame in enumerate(frames)
        ]


def _joined(parts: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _mean(values: Sequence[float] | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


if __name__ == "__main__":
    main()
