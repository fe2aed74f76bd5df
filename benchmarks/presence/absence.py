"""How often a person is invented: parts of video frames beside the annotated person.

``python -m benchmarks absence --help`` lists the options. Writes ``absence.json``. Some parts do
show bystanders, so that not every pose found in them is invented.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.inference.model import DEFAULT_MODEL, load
from edgepose.tracker import PoseTracker
from edgepose.utils.arguments import number_of_people
from edgepose.utils.machine import describe_machine
from edgepose_runtime.geometry.crop import Image

HERE = Path(__file__).parents[1]
#: What is kept clear of the annotated joints, and the narrowest part looked at, in pixels.
CLEARANCE, NARROWEST = 25, 90


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks absence", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument(
        "--max-people", type=number_of_people, default=1, metavar="N|all", help="default: 1"
    )
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Look for people in parts of frames without the person, print and write the count."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", split=args.split)
    with load(args.model) as model:
        found = [
            _finds_somebody(PoseTracker(model, max_people=args.max_people), part)
            for part in parts_beside(clips)
        ]
    content = {
        "format": "edgepose.absence",
        "machine": describe_machine(),
        "split": args.split,
        "max_people": args.max_people,
        "parts": len(found),
        "with_a_pose": sum(found),
    }
    (args.out / "absence.json").write_text(json.dumps(content, indent=2) + "\n")
    print(f"A pose in {sum(found)} of {len(found)} parts without the annotated person.")


def parts_beside(clips: Sequence[Clip]) -> Iterator[Image]:
    """The wider side of each clip's first frame without its person, where it is wide enough."""
    for clip in clips:
        frame = next(iter(clip.frames()))
        x = clip.keypoints[0, :, 0]
        left = max(int(np.nanmin(x)) - CLEARANCE, 0)
        right = int(np.nanmax(x)) + CLEARANCE
        part = max(frame[:, :left], frame[:, right:], key=lambda side: side.shape[1])
        if part.shape[1] >= NARROWEST:
            yield np.ascontiguousarray(part)


def _finds_somebody(tracker: PoseTracker, part: Image) -> bool:
    return bool(tracker.track(part).people)


if __name__ == "__main__":
    main()
