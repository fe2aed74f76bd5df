"""Videos composed of people from annotated clips, whose identities and boxes are exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.people.cutouts import Cutout, forward_and_backward
from benchmarks.people.scenes import FPS, FRAMES, HEIGHT, WIDTH, Scene
from edgepose.evaluation.protocols.several import pose_box

#: Who is visible by less than this part is not annotated.
LEAST_VISIBLE = 0.25
Image = NDArray[np.uint8]
#: Frame, person, x1, y1, x2, y2.
Rows = list[tuple[float, ...]]


class ComposedFrame(NamedTuple):
    """A frame with its annotation.

    Attributes:
        image: uint8 BGR (H, W, 3).
        rows: of the people in it.
        joints: float32 (K, 3) of each of them: x, y, and whether the joint is seen.
    """

    image: Image
    rows: Rows
    joints: list[NDArray[np.float32]]


def compose(
    scene: Scene, people: Sequence[Sequence[Cutout]], background: Image, seed: int
) -> Iterator[ComposedFrame]:
    """Yield each frame of a scene with its annotation.

    Args:
        scene: where people walk.
        people: frames of each; of fewer people than the scene has, some come again.
        background: uint8 BGR (H, W, 3).
        seed: chooses the people, and who is mirrored.
    """
    rng = np.random.default_rng(seed)
    again = len(scene.walks) > len(people)
    chosen = rng.choice(len(people), len(scene.walks), replace=again).tolist()
    streams = [forward_and_backward(people[index]) for index in chosen]
    mirrored = rng.random(len(chosen)) < 0.5
    for frame in range(FRAMES):
        shown = [
            next(stream).scaled(walk.height, mirrored=bool(mirror))
            for stream, walk, mirror in zip(streams, scene.walks, mirrored, strict=True)
        ]
        yield _draw(scene, shown, background, frame)


def write_video(path: Path, frames: Iterator[ComposedFrame]) -> int:
    """Write a video and, beside it, its annotation; return how many frames it has."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    rows: Rows = []
    count = 0
    for frame in frames:
        writer.write(frame.image)
        rows += frame.rows
        count += 1
    writer.release()
    np.savez(path.with_name(f"{path.stem}_boxes.npz"), rows=np.array(rows, np.float32))
    return count


def empty_background(seed: int) -> Image:
    """Return a room without anybody: a wall and a floor, with soft spots of light."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(90, 190, (2, 1, 1, 3))
    room = np.where(np.arange(HEIGHT)[:, None, None] < 0.45 * HEIGHT, *colours)
    light = cv2.resize(rng.normal(0, 14, (6, 8)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 3, (HEIGHT, WIDTH, 1))
    return np.clip(room + light[..., None] + grain, 0, 255).astype(np.uint8)


def _draw(scene: Scene, shown: Sequence[Cutout], background: Image, frame: int) -> ComposedFrame:
    canvas = background.astype(np.float32)
    owner = np.full(background.shape[:2], -1)
    for person, (cutout, walk) in enumerate(zip(shown, scene.walks, strict=True)):
        _paste(canvas, owner, cutout, _corner(cutout, walk.x[frame], walk.y[frame]), person)
    if scene.pillar is not None:
        owner[:, slice(*scene.pillar)] = len(shown)
        canvas[:, slice(*scene.pillar)] = background[:, :1].mean(axis=0) * 0.6
    rows: Rows = []
    seen: list[NDArray[np.float32]] = []
    for person, (cutout, walk) in enumerate(zip(shown, scene.walks, strict=True)):
        visible = (owner == person).sum() / max(float((cutout.mask > 0.5).sum()), 1.0)
        corner = _corner(cutout, walk.x[frame], walk.y[frame])
        joints = cutout.joints + corner
        box = pose_box(np.column_stack([joints, np.ones(len(joints))]))
        if visible >= LEAST_VISIBLE and box is not None:
            rows.append((frame, person + 1, *box.tolist()))
            is_seen = _is_seen(owner, joints, person)
            seen.append(np.column_stack([joints, is_seen]).astype(np.float32))
    return ComposedFrame(np.clip(canvas, 0, 255).astype(np.uint8), rows, seen)


def _is_seen(
    owner: NDArray[np.int64], joints: NDArray[np.floating], person: int
) -> NDArray[np.bool_]:
    """Return which joints (K, 2) are in the picture, and not behind anybody or anything else."""
    x, y = np.round(joints).astype(np.int64).T
    inside = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
    covering = owner[np.clip(y, 0, HEIGHT - 1), np.clip(x, 0, WIDTH - 1)]
    # A joint at the edge of the body may lie on the background beside it.
    return np.asarray(inside & ((covering == person) | (covering == -1)))


def _corner(cutout: Cutout, x: float, y: float) -> NDArray[np.int64]:
    """Return where the first pixel of a person's picture is in the frame."""
    middle = (cutout.joints.min(axis=0) + cutout.joints.max(axis=0)) / 2
    return np.round(np.array([x, y]) - middle).astype(np.int64)


def _paste(
    canvas: NDArray[np.float32],
    owner: NDArray[np.int64],
    cutout: Cutout,
    corner: NDArray[np.int64],
    person: int,
) -> None:
    (left, top), (height, width) = corner.tolist(), cutout.mask.shape
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + width, WIDTH), min(top + height, HEIGHT)
    if x1 >= x2 or y1 >= y2:
        return
    inside = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    mask = cutout.mask[inside]
    place = canvas[y1:y2, x1:x2]
    place += mask[..., None] * (cutout.image[inside] - place)
    owner[y1:y2, x1:x2][mask > 0.5] = person
