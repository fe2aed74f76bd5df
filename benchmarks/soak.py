"""Whether a tracker that is fed for long keeps its memory, threads, handles and counts.

``python -m benchmarks soak --help`` lists the options. Frames go through ``submit()`` of a tracker
with pretended networks and a callback that is sometimes slow and sometimes raises. Now and then a
network fails, or a timestamp runs backwards. Writes ``soak.json`` and the curve as ``soak.png``;
the exit code is 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose.stats import TrackerStats
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose.utils.machine import describe_machine
from edgepose_runtime.capture.synthetic import SyntheticSource
from edgepose_runtime.errors import ConfigError, EdgePoseError, InferenceError, TimestampError

OUT = Path(__file__).parent / "out"
SIZE = (320, 240)
MOST_GROWTH_MB = 5.0
# How often something goes wrong, in frames; primes, so that everything meets everything.
SLOW, RAISES, NETWORK_FAILS, TIME_FAILS = 101, 499, 997, 1499
SLOW_S = 0.003
# Where submit() does not wait, this many frames come at once: some are tracked, some dropped.
BURST = 5
_STATUS = Path("/proc/self/status")


class SoakError(EdgePoseError):
    """A promise about long runs was broken."""


@dataclass(frozen=True)
class Sample:
    """What the process held after so many frames."""

    frames: int
    memory_mb: float
    threads: int
    handles: int


class Listener:
    """A user whose callbacks are sometimes slow and sometimes raise, and who counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last_id = -1

    def on_result(self, result: PoseResult) -> None:
        """Count a result; then be slow or raise."""
        self.counts["results"] += 1
        self.counts["out of order"] += result.frame_id <= self.last_id
        self.last_id = result.frame_id
        if result.frame_id % SLOW == 0:
            time.sleep(SLOW_S)
        if result.frame_id % RAISES == 0:
            self.counts["raised"] += 1
            raise RuntimeError("The callback fails on purpose.")

    def on_drop(self, _drop: FrameDrop) -> None:
        """Count a drop."""
        self.counts["drops"] += 1

    def on_error(self, failure: TrackingFailure) -> None:
        """Count a frame's error, or one of the callback."""
        self.counts["callback errors" if failure.callback else "errors"] += 1


def sample(frames: int) -> Sample:
    """Look at this process."""
    facts = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    memory = int(facts["VmRSS"].split()[0]) / 1024
    handles = len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - less the one that looks
    return Sample(frames, round(memory, 3), int(facts["Threads"]), handles)


def run(frames: int, every: int, policy: str, show: bool = False) -> tuple[list[Sample], list[str]]:
    """Feed a tracker; return the samples, and what does not add up."""
    listener, method = Listener(), FakeMethod(standing_person((160, 120), 120))
    method.calls = deque(maxlen=1)  # type: ignore[assignment]
    puppet = SyntheticSource(64, size=SIZE)
    images = [puppet.draw(index) for index in range(64)]
    samples = []
    with PoseTracker(
        fake_model(method),
        policy=policy,
        on_result=listener.on_result,
        on_drop=listener.on_drop,
        on_error=listener.on_error,
    ) as tracker:
        for index in range(frames):
            if index % every == 0:
                samples.append(sample(index))
                if show:
                    print(samples[-1], file=sys.stderr)
            if index % NETWORK_FAILS == NETWORK_FAILS - 1:
                method.error = InferenceError("The network fails on purpose.")
            backwards = index % TIME_FAILS == TIME_FAILS - 1
            try:
                tracker.submit(images[index % 64], -1.0 if backwards else 40.0 * index)
            except TimestampError:
                listener.counts["refused"] += 1
            if policy == "latest" and index % BURST == 0:
                tracker.flush()
        tracker.flush()
        samples.append(sample(frames))
    return samples, broken_counts(frames, listener.counts, tracker.stats)


def broken_counts(frames: int, heard: Counter[str], stats: TrackerStats) -> list[str]:
    """Compare what was submitted, what the callbacks heard and what the tracker counted."""
    pairs = {
        "frames submitted": (frames, stats.frames),
        "results": (heard["results"], stats.poses + stats.without_person),
        "drops": (heard["drops"], sum(stats.drops.values())),
        "errors": (heard["errors"] + heard["refused"], stats.errors),
        "errors of callbacks": (heard["raised"], stats.callback_errors),
        "errors of callbacks reported": (heard["raised"], heard["callback errors"]),
        "results out of order": (heard["out of order"], 0),
        "frames without an end": (stats.pending + stats.unreported, 0),
    }
    return [f"{what}: {a} and {b}" for what, (a, b) in pairs.items() if a != b]


def broken_limits(samples: Sequence[Sample], settle: int) -> tuple[float, list[str]]:
    """Return how much memory grew after the first frames, in MB, and which limits were passed."""
    settled = [one for one in samples if one.frames >= settle]
    growth = settled[-1].memory_mb - settled[0].memory_mb
    broken = [
        f"{what} between {min(seen)} and {max(seen)}"
        for what, seen in (
            ("threads", {one.threads for one in settled}),
            ("handles", {one.handles for one in settled}),
        )
        if len(seen) > 1
    ]
    if growth >= MOST_GROWTH_MB:
        broken.append(f"memory grew by {growth:.1f} MB")
    return growth, broken


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Draw the curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 5), layout="constrained")
    frames = [one.frames for one in samples]
    above.plot(frames, [one.memory_mb for one in samples], label="resident memory")
    above.set(ylabel="MB", ylim=(0, None))
    below.plot(frames, [one.threads for one in samples], label="threads")
    below.plot(frames, [one.handles for one in samples], label="file handles")
    below.set(xlabel="frames through submit()", ylim=(0, None))
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000, metavar="N")
    parser.add_argument("--settle", type=int, default=5_000, metavar="N", help="not judged yet")
    parser.add_argument("--every", type=int, default=500, metavar="N", help="frames per sample")
    parser.add_argument("--policy", default="every-frame", help="every-frame or latest")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Run, write what was seen, and complain."""
    args = parse_arguments(words)
    if not _STATUS.exists():
        raise ConfigError(f"The soak reads {_STATUS}, which this system does not have.")
    if not 0 <= args.settle < args.frames or args.every < 1:
        raise ConfigError("--settle must be below --frames, and --every 1 or more.")
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    samples, wrong = run(args.frames, args.every, args.policy, show=sys.stderr.isatty())
    seconds = time.perf_counter() - began
    growth, passed = broken_limits(samples, args.settle)
    content = {
        "format": "edgepose.soak",
        "version": 1,
        "machine": describe_machine(),
        "options": vars(args),
        "seconds": round(seconds, 1),
        "growth_mb": round(growth, 3),
        "broken": wrong + passed,
        "samples": [asdict(one) for one in samples],
    }
    (args.out / "soak.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
    draw(samples, args.out / "soak.png")
    print(
        f"{args.frames} frames in {seconds:.0f} s: memory after the first {args.settle} grew by "
        f"{growth:.2f} MB; {samples[-1].threads} threads, {samples[-1].handles} handles."
    )
    if wrong or passed:
        raise SoakError(f"Broken: {'; '.join(wrong + passed)}.")
