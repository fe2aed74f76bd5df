"""What a scene without a person costs, and how soon a person who enters is found.

``python -m benchmarks search --help`` lists the options. Writes ``search.json``. The cost is the
mean processor time of all frames but the first, in parts of the mean step for a person, taken
alternately. The delay is from the first frame of a clip, after frames without anybody, to the
first pose; of a video, from the frame in which a search without a budget finds somebody.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgepose.benchmarking.frames import sample_clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.inference.model import DEFAULT_MODEL, load
from edgepose.tracker import PoseTracker
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET
from edgepose.utils.machine import describe_machine
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.crop import Image

HERE = Path(__file__).parent
SIZES = {"320x240": (240, 320), "1280x720": (720, 1280)}
#: Frames of a scene that are timed, and without anybody before a clip.
FRAMES, EMPTY = 600, 60
FRAME_MS = 1000 / 30
#: More than any frame has regions: all of them are searched in every frame.
UNBOUNDED = 10_000.0


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks search", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--split", default="selection", help="of the clips (default: selection)")
    parser.add_argument("--video", type=Path, metavar="FILE", help="people come and go in it")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help="of each scene")
    parser.add_argument("--search-budget", type=float, default=DEFAULT_BUDGET, metavar="STEPS")
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure cost and delay, print and write them."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    content = {"format": "edgepose.search", "machine": describe_machine(), "version": 1}
    with load(args.model) as model:

        def tracker(budget: float = args.search_budget) -> PoseTracker:
            return PoseTracker(model, search_budget=budget)

        content["cost"] = _costs(tracker, args.frames)
        clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", split=args.split)
        delays = [delay_after_cut(tracker(), clip.frames()) for clip in clips]
        content["delay_after_cut"] = _report("a cut to a clip", delays)
        if args.video is not None:
            delays = delays_in_video(tracker, args.video)
            content["delay_in_video"] = _report("people who enter the video", delays)
    (args.out / "search.json").write_text(json.dumps(content, indent=2) + "\n")


def scenes(size: tuple[int, int]) -> dict[str, list[Image]]:
    """Return frames without anybody, to be repeated, by name."""
    rng = np.random.default_rng(0)
    shape = (*size, 3)
    blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    rows, columns = (
        np.arange(side) * cells // side for side, cells in zip(size, (6, 8), strict=True)
    )
    still = np.ascontiguousarray(blocks[rows][:, columns])
    grainy = [still + rng.normal(0, 8, shape) for _ in range(10)]
    return {
        "grey": [np.full(shape, 128, np.uint8)],
        "blocks": [still],
        "blocks with sensor noise": [np.clip(frame, 0, 255).astype(np.uint8) for frame in grainy],
        "noise": [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(10)],
    }


def _costs(make: Callable[[], PoseTracker], frames: int) -> dict[str, float]:
    people = [frame.image for frame in open_source(sample_clip())]
    costs = {}
    for name, size in SIZES.items():
        for scene, images in scenes(size).items():
            cost = cost_of_scene(make(), make(), images, people, frames)
            costs[f"{scene}, {name}"] = cost
            print(f"{scene}, {name}: {cost:.2f} of a step for a person")
    return costs


def cost_of_scene(
    empty: PoseTracker, busy: PoseTracker, scene: list[Image], people: list[Image], frames: int
) -> float:
    """Return the mean time of a scene's frames but the first, in parts of a step for a person."""
    spent = {empty: 0.0, busy: 0.0}
    for number in range(frames):
        for tracker, images in ((empty, scene), (busy, people)):
            start = time.process_time()
            tracker.track(images[number % len(images)], timestamp_ms=number * FRAME_MS)
            spent[tracker] += (time.process_time() - start) * (number > 0)
    return spent[empty] / spent[busy]


def delay_after_cut(tracker: PoseTracker, frames: Iterator[Image]) -> int | None:
    """Return how many frames of a clip pass before its first pose; ``None`` if it has none."""
    first = next(frames)
    nobody = itertools.repeat(np.full_like(first, 128), EMPTY)
    images = itertools.chain(nobody, [first], frames)
    for number, image in enumerate(images, -EMPTY):
        if _is_found(tracker, image, (number + EMPTY) * FRAME_MS) and number >= 0:
            return number
    return None


def _is_found(tracker: PoseTracker, image: Image, timestamp_ms: float) -> bool:
    return tracker.track(image, timestamp_ms=timestamp_ms).keypoints is not None


def delays_in_video(make: Callable[..., PoseTracker], path: Path) -> list[int | None]:
    """Return how many frames later each entry is found than by a search without a budget."""
    trackers = make(UNBOUNDED), make()
    seen = [
        [_is_found(tracker, frame.image, frame.timestamp_ms) for tracker in trackers]
        for frame in open_source(path)
    ]
    entries = [i for i in range(1, len(seen)) if seen[i][0] and not seen[i - 1][0]]
    return [next((i - at for i in range(at, len(seen)) if seen[i][1]), None) for at in entries]


def _report(what: str, delays: list[int | None]) -> dict[str, float | None]:
    found = [delay * FRAME_MS for delay in delays if delay is not None]
    soon = sum(delay <= 300 for delay in found)
    worst = max(found, default=None)
    print(f"Found within 0.3 s after {what}: {soon} of {len(delays)}; the slowest {worst} ms.")
    return {"entries": len(delays), "within_300_ms": soon, "slowest_ms": worst}


if __name__ == "__main__":
    main()
