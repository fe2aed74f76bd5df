"""Whether poses drift: clips walked to and fro many times, their method started once.

``python -m benchmarks drift --help`` lists the options. Writes ``drift.json`` and ``drift.md``.
Only ways forward through the clip are scored, so that all of them show the same frames.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clip_options import add_clip_options, selection
from edgepose.benchmarking.timing import forward_and_backward
from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.data_sets import select_clips
from edgepose.evaluation.metrics.scoring import Measure, Score, score_clip
from edgepose.evaluation.protocols.gt_box import BodyOnlyMethod, GtBoxPredictor
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import load
from edgepose.methods import Method
from edgepose.utils.machine import describe_machine

OUT = Path(__file__).parent / "out"
#: Which ways through the clip are scored; every other one is a way back.
WAYS = (1, 3, 5, 9)
MEASURES = (Measure("torso", 0.2), Measure("torso", 0.1))
Row = dict[int, list[float]]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks drift", description=__doc__)
    parser.add_argument("--model", nargs="+", default=["ppn-swift", "ppn-stable"], metavar="BUNDLE")
    add_clip_options(parser)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Follow people for long, score the ways through the clips, print and write it."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    clips = select_clips(selection(args, args.split))
    rows: dict[str, Row] = {}
    for name in args.model:
        with load(name, num_threads=1) as model:
            rows[f"{name} body alone"] = followed(BodyOnlyMethod(model.method), clips)
            rows[name] = followed(model.method, clips)
    content = {"format": "edgepose.drift", "machine": describe_machine(), "ways": rows}
    (args.out / "drift.json").write_text(json.dumps(content, indent=1) + "\n")
    (args.out / "drift.md").write_text(text := markdown(table(rows)))
    print(text)


def followed(method: Method, clips: Sequence[Clip]) -> Row:
    """Return PCK in percent, @0.2 and @0.1, of each way through all clips.

    Args:
        method: started on each clip's first frame and never again.
        clips: walked to and fro in their annotated boxes.
    """
    protocol = GtBoxPredictor(method)
    poses = [protocol.predict(forward_and_backward_clip(clip, max(WAYS))) for clip in clips]
    return {way: _pck(protocol, clips, poses, way) for way in WAYS}


def forward_and_backward_clip(clip: Clip, ways: int) -> Clip:
    """Return the clip forward, backward, and so on; where it turns no frame comes twice."""
    order = [forward_and_backward(step, len(clip)) for step in range(ways * (len(clip) - 1) + 1)]

    def frames() -> Iterator[Image]:
        pictures = list(clip.frames())
        return (pictures[place] for place in order)

    boxes = None if clip.boxes is None else clip.boxes[order]
    return replace(clip, frames=frames, keypoints=clip.keypoints[order], boxes=boxes)


def table(rows: dict[str, Row]) -> Table:
    """Return the ways as text: a row for each method."""
    cells = (
        (name, *(" / ".join(f"{value:.1f}" for value in row[way]) for way in WAYS))
        for name, row in rows.items()
    )
    return Table("", ("PCK-torso@0.2 / @0.1", *(f"way {way}" for way in WAYS)), tuple(cells))


def _pck(
    protocol: GtBoxPredictor, clips: Sequence[Clip], poses: Sequence[NDArray[np.float32]], way: int
) -> list[float]:
    scores = []
    for clip, found in zip(clips, poses, strict=True):
        start = (way - 1) * (len(clip) - 1)
        part = found[start : start + len(clip)]
        scores.append(score_clip(part, protocol.skeleton, clip, MEASURES))
    score = Score(protocol.skeleton, tuple(scores))
    return [score.pck(measure).limbs12 for measure in MEASURES]


if __name__ == "__main__":
    main()
