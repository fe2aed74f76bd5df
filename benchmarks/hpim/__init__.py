"""Interpolation between key poses: error on real joint sequences, and time, beside the usual ways.

``python -m benchmarks hpim --help`` lists the options. Writes ``hpim.json``, ``hpim.md`` and
``hpim.png``. Joint sequences are Penn Action's training videos that are set apart from training.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.hpim.candidates import Candidate, candidates
from benchmarks.hpim.timing import Times, measure_times
from edgepose.datasets.motion_windows import MotionWindows, cut_windows, set_apart
from edgepose.datasets.root import data_root
from edgepose.datasets.sequences import read_penn_sequences
from edgepose.evaluation.report import Table, markdown
from edgepose.training.dynamics.trials import Placement, Setting, Trial, draw_trial
from edgepose.utils.machine import describe_machine, pin_to_cores
from edgepose_runtime.interpolation.dictionary import DEFAULT_DICTIONARY, load_dictionary
from edgepose_runtime.interpolation.interpolator import WINDOW

HERE = Path(__file__).parents[1]
#: What a joint may be off to count, in sides of the person's box.
HIT = 0.05
PLACEMENTS: tuple[Placement, ...] = ("uniform", "random")
SETTINGS = [
    Setting(keys, noise, placement, missing)
    for missing, placement, noise, keys in product(
        (0.0, 0.2), PLACEMENTS, (0.0, 0.01, 0.02, 0.04), (6, 10, 16, 20)
    )
]
SPLINES = ("linear", "cubic", "PCHIP")
#: What each form of ours is compared with: ways that are told as much of the noise.
RIVALS = {
    "ours, noise given": (*SPLINES, "smoothing spline, noise given", "Kalman/RTS, noise given"),
    "ours, noise estimated": (*SPLINES, "Kalman/RTS, noise estimated"),
    "ours, default noise": (*SPLINES, "Kalman/RTS, noise estimated"),
}
OURS = "ours, noise estimated"

Figures = dict[str, list[tuple[float, float]]]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hpim", description=__doc__)
    parser.add_argument("--dictionary", type=Path, default=DEFAULT_DICTIONARY, metavar="FILE")
    parser.add_argument("--root", type=Path, metavar="DIR", help="the data folder")
    parser.add_argument("--stride", type=int, default=40, help="frames from window to window")
    parser.add_argument("--no-accuracy", action="store_true", help="measure time alone")
    parser.add_argument("--no-time", action="store_true", help="measure accuracy alone")
    parser.add_argument("--pin", action="store_true", help="use one core")
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write the results."""
    args = parse_arguments(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.pin:
        pin_to_cores(1)
    dictionary = load_dictionary(args.dictionary)
    content: dict[str, object] = {"format": "edgepose.hpim", "machine": describe_machine()}
    text = ""
    if not args.no_time:
        times = measure_times(dictionary)
        content["microseconds"] = [asdict(each) for each in times]
        text += markdown(Table("Time", *_time_table(times)))
    if not args.no_accuracy:
        root = args.root or data_root()
        _, apart = set_apart(read_penn_sequences(root / "penn"))
        windows = cut_windows(apart, WINDOW, args.stride)
        figures = measure_accuracy(windows, candidates(dictionary, root / "dyan"))
        content["windows"] = len(windows)
        content["settings"] = [asdict(setting) for setting in SETTINGS]
        content["mean_error_and_hits_percent"] = figures
        text += report(figures)
        plot(figures, args.out / "hpim.png")
    (args.out / "hpim.json").write_text(json.dumps(content, indent=1) + "\n")
    (args.out / "hpim.md").write_text(text)
    print(text)


def measure_accuracy(windows: MotionWindows, methods: Sequence[Candidate]) -> Figures:
    """Return mean error and hits in percent for each method, in the order of `SETTINGS`."""
    figures: Figures = {method.name: [] for method in methods}
    for number, setting in enumerate(SETTINGS):
        logging.info("%d of %d: %s", number + 1, len(SETTINGS), setting)
        trial = draw_trial(windows, setting, np.random.default_rng(number))
        for method in methods:
            figures[method.name].append(score(method, windows, trial, setting.noise))
    return figures


def score(
    method: Candidate, windows: MotionWindows, trial: Trial, noise: float
) -> tuple[float, float]:
    """Return the mean error and the hits in percent, over all frames and visible joints."""
    poses = np.where(trial.seen[..., None], trial.key_poses, np.nan)
    paths = method.interpolate(trial.key_frames, poses, noise)
    errors = np.linalg.norm(paths - windows.paths, axis=3).swapaxes(1, 2)[windows.visible]
    return float(100 * errors.mean()), float(100 * (errors <= HIT).mean())


def report(figures: Figures) -> str:
    """Tables of mean error and hits, and how often ours is best."""
    text = ""
    for missing, placement in product((0.0, 0.2), ("uniform", "random")):
        chosen = [
            (i, s)
            for i, s in enumerate(SETTINGS)
            if (s.missing, s.placement) == (missing, placement)
        ]
        header = ("noise %, keys", *figures)
        rows = tuple(
            (
                f"{100 * s.noise:g}, {s.keys}",
                *(f"{error:.2f} · {hits:.1f}" for error, hits in (f[i] for f in figures.values())),
            )
            for i, s in chosen
        )
        title = f"{placement} keys" + (", 20 % of joints missing" if missing else "")
        text += markdown(Table(title.capitalize(), header, rows))
    return text + "".join(_wins_text(figures, ours) for ours in RIVALS)


def _wins_text(figures: Figures, ours: str) -> str:
    errors, hits = wins(figures, ours)
    return (
        f"{ours} against the best of {', '.join(RIVALS[ours])}: lower mean error in {errors} and "
        f"more hits in {hits} of {len(SETTINGS)} settings.\n"
    )


def wins(figures: Figures, name: str) -> tuple[int, int]:
    """Count the settings in which a form of ours has a lower error, and more hits, than rivals."""
    ours = np.array(figures[name])
    rivals = np.array([figures[rival] for rival in RIVALS[name]])
    errors = (ours[:, 0] < rivals[:, :, 0].min(axis=0)).sum()
    hits = (ours[:, 1] > rivals[:, :, 1].max(axis=0)).sum()
    return int(errors), int(hits)


def plot(figures: Figures, path: Path) -> None:
    """Draw the mean error over the number of keys, for each noise, uniform keys, none missing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), dpi=90, layout="tight")
    noises = sorted({setting.noise for setting in SETTINGS})
    for axis, noise in zip(figure.subplots(1, len(noises)), noises, strict=True):
        chosen = [
            (i, s.keys)
            for i, s in enumerate(SETTINGS)
            if (s.noise, s.placement, s.missing) == (noise, "uniform", 0.0)
        ]
        for name, values in figures.items():
            line = {"linewidth": 2.5} if name == OURS else {"linewidth": 1}
            axis.plot([k for _, k in chosen], [values[i][0] for i, _ in chosen], label=name, **line)
        axis.set_title(f"noise {100 * noise:g} %")
        axis.set_xlabel("keys of 40")
        axis.set_yscale("log")
    figure.axes[0].set_ylabel("mean error, % of the box")
    figure.axes[-1].legend(fontsize=6)
    figure.savefig(path)


def _time_table(times: Sequence[Times]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    header = ("µs", "compiled p50", "p95", "NumPy p50", "NumPy to compiled")
    rows = tuple(
        (t.name, f"{t.p50:.1f}", f"{t.p95:.1f}", f"{t.twin_p50:.0f}", f"{t.ratio:.1f}")
        for t in times
    )
    return header, rows


if __name__ == "__main__":
    main()
