"""Several people: composed videos, a comparison with other trackers, and time by their number.

``python -m benchmarks people compose OUT`` writes videos of people from annotated clips who walk
past each other, in the form of the data set ``several``: ``edgepose evaluate --dataset several
--root OUT`` measures them. The same seed gives the same videos. ``python -m benchmarks people
compare`` measures identities and joints on them, beside a detector on every frame with RTMPose-s
and the trackers of the package ``trackers`` (``pip install "edgepose[peers]"``), and writes
``people-compare.json``. ``python -m benchmarks people speed`` times frames with 1 to 20 people, and
writes ``people.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.people.comparison import Score, compare
from benchmarks.people.comparison import table as comparison_table
from benchmarks.people.composing import compose, empty_background, write_video
from benchmarks.people.cutouts import Cutout, cut_out
from benchmarks.people.peers import peer_candidates
from benchmarks.people.scenes import FPS, KINDS, make_scene
from benchmarks.people.speed import COUNTS, Timing, table, time_people
from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.evaluation.protocols.several import PeopleCandidate, PeopleTracker, as_people_tracker
from edgepose.evaluation.report import markdown
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.utils.arguments import comma_separated
from edgepose.utils.machine import describe_machine
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import BackendUnavailableError, DataError

OUT = Path(__file__).parents[1] / "out"
#: Clips that show the whole person upright, of the training part: what is measured on them is who
#: is who, not the accuracy of joints.
CLASSES = ("walk", "run", "stand", "catch", "clap", "pick", "golf")
LEAST_HEIGHT = 90.0
PEOPLE, FRAMES_OF_EACH = 12, 24


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks people", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    composing = parts.add_parser("compose", help="write videos with exact identities")
    composing.add_argument("out", type=Path, help="folder of the videos")
    comparing = parts.add_parser("compare", help="measure ours and others on composed videos")
    for part in (composing, comparing):
        _add_video_options(part)
    speed = parts.add_parser("speed", help="time frames with more and more people")
    for part in (comparing, speed):
        _add_model_options(part)
    speed.add_argument(
        "--counts",
        type=comma_separated(int),
        default=COUNTS,
        metavar="N,...",
        help="how many people",
    )
    speed.add_argument("--frames", type=int, default=200, metavar="N", help="timed (default: 200)")
    for part in (composing, comparing, speed):
        part.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    return parser.parse_args(words)


def _add_video_options(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "--kinds", type=comma_separated(str), default=KINDS, metavar="K,...", help=", ".join(KINDS)
    )
    part.add_argument(
        "--seeds", type=int, default=4, metavar="N", help="videos of each kind (default: 4)"
    )
    part.add_argument(
        "--first-seed", type=int, default=0, metavar="N", help="of the videos (default: 0)"
    )


def _add_model_options(part: argparse.ArgumentParser) -> None:
    part.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    part.add_argument("--weights", type=Path, metavar="DIR", help="folder of the peers' weights")
    part.add_argument("--num-threads", type=int, default=1, metavar="N", help="default: 1")
    part.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="for the JSON file")


def main(words: Sequence[str] | None = None) -> None:
    """Compose, compare or time."""
    args = parse_arguments(words)
    {"compose": _compose, "compare": _compare, "speed": _speed}[args.part](args)


def cast(root: Path) -> list[list[Cutout]]:
    """Cut out the people that videos are composed of, one of each action in turn.

    Raises:
        DataError: the clips are missing, or too few of them fit.
    """
    clips = [clip for clip in read_jhmdb_clips(root, "train") if _is_usable(clip)]
    # One of each film: the same person in the same clothes would be no other person.
    films = list({clip.film: clip for clip in clips}.values())
    actions = [[clip for clip in films if _action(clip) == action] for action in CLASSES]
    chosen = [clip for turn in zip_longest(*actions) for clip in turn if clip is not None][:PEOPLE]
    if len(chosen) < 5:
        raise DataError(f"Only {len(chosen)} clips in '{root}' show a whole person; 5 are needed.")
    with show_progress("Cutting out", len(chosen)) as progress:
        people = []
        for clip in chosen:
            people.append(cut_out(clip, FRAMES_OF_EACH))
            progress.advance(note=clip.name)
    return people


def _action(clip: Clip) -> str:
    return clip.name.split("/")[0]


def _is_usable(clip: Clip) -> bool:
    """Return whether a clip shows somebody as a whole, large enough and for long enough."""
    heights = np.ptp(clip.keypoints[..., 1], axis=1)
    return (
        _action(clip) in CLASSES
        and clip.full_body
        and clip.grade == "A"
        and len(clip) >= FRAMES_OF_EACH
        and bool(heights.min() >= LEAST_HEIGHT and clip.keypoints[..., 2].all())
    )


def _compose(args: argparse.Namespace) -> None:
    people = cast(args.root or data_root() / "jhmdb")
    args.out.mkdir(parents=True, exist_ok=True)
    for kind in args.kinds:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            scene = make_scene(kind, seed)
            frames = compose(scene, people, empty_background(seed), seed)
            count = write_video(args.out / f"{scene.name}.avi", frames)
            print(f"{scene.name}: {count} frames of {len(scene.walks)} people")


def _peers(model: PoseModel, args: argparse.Namespace) -> list[PeopleCandidate]:
    """Return who is compared with; nobody, and say why, where something is missing."""
    try:
        return peer_candidates(model, args.weights, args.num_threads, FPS)
    except (BackendUnavailableError, DataError) as error:
        print(f"Without other trackers: {error}")
        return []


def _compare(args: argparse.Namespace) -> None:
    people = cast(args.root or data_root() / "jhmdb")
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    with load(args.model, num_threads=args.num_threads) as model:
        ours = [
            as_people_tracker(model),
            as_people_tracker(model, f"{model.name}, key frames", key_frames="auto"),
        ]
        candidates = [*ours, *_peers(model, args)]
        scores = compare(candidates, people, args.kinds, seeds, model.skeleton)
    print(markdown(comparison_table(scores)))
    _write(args, "people-compare.json", scores, seeds=list(seeds))


def _speed(args: argparse.Namespace) -> None:
    people = cast(args.root or data_root() / "jhmdb")

    def new_peer(model: PoseModel) -> PeopleTracker:
        return _peers(model, args)[0].new_tracker()

    with load(args.model, num_threads=args.num_threads) as model:
        has_peer = bool(_peers(model, args))
    timings = time_people(
        args.model,
        people,
        args.counts,
        args.frames,
        args.num_threads,
        new_peer if has_peer else None,
    )
    print(markdown(table(timings)))
    _write(args, "people.json", timings, frames=args.frames)


def _write(
    args: argparse.Namespace, name: str, results: Sequence[Timing | Score], **settings: Any
) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    content = {
        "format": "edgepose.people",
        "version": 1,
        "machine": describe_machine(),
        "model": args.model,
        "num_threads": args.num_threads,
        **settings,
        "results": [result._asdict() for result in results],
    }
    (args.out / name).write_text(json.dumps(content, indent=1) + "\n")
