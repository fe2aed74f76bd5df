"""How soon a lost person is found again: blank frames within clips, and cuts from clip to clip.

``python -m benchmarks recovery --help`` lists the options. Writes ``recovery.json`` and
``recovery.md``. The tracker runs with its defaults and is told nothing. A person counts as found
when the middle of the pose lies in the annotated box.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clip_options import add_clip_options, selection
from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.boxes import person_boxes
from edgepose.evaluation.data_sets import select_clips
from edgepose.evaluation.protocols.tracker import TrackerPredictor
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import DEFAULT_MODEL, load
from edgepose.tracker import PoseTracker
from edgepose.utils.machine import describe_machine
from edgepose_runtime.errors import ConfigError

OUT = Path(__file__).parent / "out"
#: A lost person must be found again within so many frames.
GOAL = 5
#: Blank frames in a row: less and more than a tracker waits before it starts afresh.
BLANK_FRAMES = (1, 10, 45)
#: What a small picture is put into: the person is then small, and in a corner.
WIDE = 1280, 720
GREY = 128


@dataclass(frozen=True)
class Case:
    """A video in which the person is gone or elsewhere at some frame.

    Attributes:
        clip: the video; frames that show nobody have no scored joint.
        back: number of the first frame in which the person is to be found again.
    """

    clip: Clip
    back: int


class RecoveryResult(NamedTuple):
    """What became of one case.

    Attributes:
        name: of the clip.
        frames_to_found: 1 if it was found in the first frame; None if in none of the frames.
        without_pose: frames in which the person is in view and there is no pose.
        astray: frames from ``back`` on with a pose that is not on the person.
        invented: frames without the person in which there is a pose.
    """

    name: str
    frames_to_found: int | None
    without_pose: int
    astray: int
    invented: int


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recovery", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    add_clip_options(parser)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--parts", default=",".join(CASES), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Lose people, look how soon they are found, print and write it."""
    args = parse_arguments(words)
    parts = _parts(args.parts)
    args.out.mkdir(parents=True, exist_ok=True)
    clips = select_clips(selection(args, args.split))
    found: dict[str, list[RecoveryResult]] = {}
    with load(args.model, num_threads=1) as model:
        tracked = TrackerPredictor(model.skeleton, lambda: PoseTracker(model))
        for part in parts:
            cases = CASES[part](clips)
            found[part] = [score(case, tracked.predict(case.clip)) for case in cases]
            print(markdown(table({part: found[part]})), flush=True)
    content = {
        "format": "edgepose.recovery",
        "machine": describe_machine(),
        "split": args.split,
        "results": {part: [each._asdict() for each in rows] for part, rows in found.items()},
    }
    (args.out / "recovery.json").write_text(json.dumps(content, indent=1) + "\n")
    (args.out / "recovery.md").write_text(markdown(table(found)))


def _parts(wanted: str) -> list[str]:
    parts = wanted.split(",")
    unknown = [part for part in parts if part not in CASES]
    if unknown:
        raise ConfigError(
            f"--parts may be {', '.join(CASES)}; got {', '.join(map(repr, unknown))}."
        )
    return parts


def interrupted(clip: Clip, blank: int) -> Case:
    """Return the clip with blank frames in its middle."""
    half = len(clip) // 2

    def frames() -> Iterator[Image]:
        for index, frame in enumerate(clip.frames()):
            if index == half:
                yield from (np.full_like(frame, GREY) for _ in range(blank))
            yield frame

    nobody = np.zeros_like(clip.keypoints[:1]).repeat(blank, axis=0)
    keypoints = np.concatenate([clip.keypoints[:half], nobody, clip.keypoints[half:]])
    # Boxes follow from the joints, as those of JHMDB do.
    return Case(replace(clip, frames=frames, keypoints=keypoints, boxes=None), half + blank)


def cut(clip: Clip, other: Clip) -> Case:
    """Return the first half of a clip, and without a break another clip."""
    half = len(clip) // 2

    def frames() -> Iterator[Image]:
        size = (0, 0)
        for index, frame in enumerate(clip.frames()):
            size = frame.shape[1], frame.shape[0]
            if index < half:
                yield frame
        for frame in other.frames():
            yield np.asarray(cv2.resize(frame, size), np.uint8) if _size(frame) != size else frame

    keypoints = np.concatenate([clip.keypoints[:half], other.keypoints])
    name = f"{clip.name} to {other.name}"
    return Case(replace(clip, name=name, frames=frames, keypoints=keypoints, boxes=None), half)


def widened(case: Case) -> Case:
    """Return the case within a large grey picture, in its upper left corner at first.

    From ``back`` on it is in the lower right one, where a search comes last.
    """
    clip = case.clip
    first = next(iter(clip.frames()))
    height, width = first.shape[:2]
    far = WIDE[0] - width, WIDE[1] - height

    def frames() -> Iterator[Image]:
        for index, frame in enumerate(clip.frames()):
            x, y = far if index >= case.back else (0, 0)
            picture = np.full((WIDE[1], WIDE[0], 3), GREY, np.uint8)
            picture[y : y + height, x : x + width] = frame
            yield picture

    keypoints = clip.keypoints.copy()
    keypoints[case.back :, :, :2] += np.array(far, np.float32)
    return replace(case, clip=replace(clip, frames=frames, keypoints=keypoints))


def score(case: Case, poses: NDArray[np.floating]) -> RecoveryResult:
    """Compare poses (T, K, 3) with the annotation."""
    clip = case.clip
    shown = np.asarray((clip.keypoints[..., 2] > 0).any(axis=1))
    seen = np.asarray(np.isfinite(poses[..., 0]).any(axis=1))
    on = [
        bool(there) and box.contains(tuple(np.nanmean(pose[:, :2], axis=0)))
        for pose, there, box in zip(poses, seen, person_boxes(clip), strict=True)
    ]
    after = np.array(on[case.back :], bool)
    return RecoveryResult(
        clip.name,
        int(after.argmax()) + 1 if after.any() else None,
        int((shown & ~seen).sum()),
        int((seen[case.back :] & ~after & shown[case.back :]).sum()),
        int((~shown & seen).sum()),
    )


def table(found: dict[str, list[RecoveryResult]]) -> Table:
    """Return a row for each part."""
    header = (
        "",
        "times lost",
        "found in the first frame",
        f"within {GOAL}",
        "latest",
        "never",
        "in view without a pose",
        "pose elsewhere",
        "pose while gone",
    )
    return Table("", header, tuple(_row(part, rows) for part, rows in found.items()))


def _row(part: str, rows: Sequence[RecoveryResult]) -> tuple[str, ...]:
    frames = [row.frames_to_found for row in rows]
    known = [count for count in frames if count is not None]
    return (
        part,
        *(
            str(value)
            for value in (
                len(rows),
                sum(count == 1 for count in known),
                sum(count <= GOAL for count in known),
                max(known, default="-"),
                frames.count(None),
                sum(row.without_pose for row in rows),
                sum(row.astray for row in rows),
                sum(row.invented for row in rows),
            )
        ),
    )


def _size(frame: Image) -> tuple[int, int]:
    return frame.shape[1], frame.shape[0]


def _interrupting(blank: int) -> Callable[[Sequence[Clip]], list[Case]]:
    return lambda clips: [interrupted(clip, blank) for clip in clips]


def _cuts(clips: Sequence[Clip]) -> list[Case]:
    """Cut from each clip to the next but some, which is of another film."""
    step = max(len(clips) // 2, 1)
    others = [clips[(index + step) % len(clips)] for index in range(len(clips))]
    return [cut(clip, other) for clip, other in zip(clips, others, strict=True)]


def _wide(clips: Sequence[Clip]) -> list[Case]:
    return [widened(interrupted(clip, BLANK_FRAMES[1])) for clip in clips]


CASES: dict[str, Callable[[Sequence[Clip]], list[Case]]] = {
    **{f"{count} blank": _interrupting(count) for count in BLANK_FRAMES},
    "cut": _cuts,
    "wide": _wide,
}

if __name__ == "__main__":
    main()
