"""What cuts change: poses behind them, and identities over them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import edgepose
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.archive.settings import CutSettings, TrackSettings

#: Poses of a whole and a cut video are one person's if their joints are so close on average, in
#: parts of the person's height.
SAME_PERSON = 0.2

People = dict[int, np.ndarray]


def compare_cuts(args: argparse.Namespace, folder: Path) -> list[str]:
    """Track videos whole and cut, and return what differs."""
    cuts = {"whole": CutSettings(), "cut": CutSettings(args.frames_per_unit, args.overlap)}
    for name, cut in cuts.items():
        job = ArchiveJob(args.videos, folder / name, TrackSettings(max_people=args.max_people), cut)
        run_archive(job, LocalEngine, 1)
    whole, cut = (edgepose.read_poses(folder / name) for name in cuts)
    return report(whole, cut, args.frames_per_unit)


def report(whole: edgepose.PoseTable, cut: edgepose.PoseTable, length: int) -> list[str]:
    """Return how far poses are apart, and how many identities go on over the cuts."""
    apart, kept = np.zeros(0), list[bool]()
    for video in whole.videos:
        pair = by_frame(whole.of_video(video)), by_frame(cut.of_video(video))
        apart = np.concatenate([apart, [d for d in distances(*pair) if np.isfinite(d)]])
        kept += continuations(*pair, length)
    missing = len(whole) - len(apart)
    return [
        f"Poses: {len(whole)} whole, {len(cut)} cut; {missing} of the former have no counterpart.",
        "Distance of joints in heights of the person: "
        f"median {np.median(apart):.4f}, p95 {np.percentile(apart, 95):.4f}, "
        f"p99 {np.percentile(apart, 99):.4f}; {100 * (apart == 0).mean():.0f} % identical.",
        f"Identities joined over cuts: {sum(kept)} of {len(kept)} "
        f"({100 * sum(kept) / max(len(kept), 1):.1f} %).",
    ]


def by_frame(table: edgepose.PoseTable) -> dict[int, People]:
    """Return joints (K, 3) by frame and identity."""
    return {
        frame: {int(table.person_id[row]): table.keypoints[row] for row in rows}
        for _, frame, rows in table.groups()
    }


def distances(whole: dict[int, People], cut: dict[int, People]) -> Iterator[float]:
    """Yield the distance of each pose to its counterpart, infinite where there is none."""
    for frame, people in whole.items():
        for pose in people.values():
            identity = counterpart(pose, cut.get(frame, {}))
            yield np.inf if identity is None else distance(pose, cut[frame][identity])


def continuations(whole: dict[int, People], cut: dict[int, People], length: int) -> Iterator[bool]:
    """Yield whether each person who goes on over a cut keeps the identity there."""
    for start in range(length, max(whole, default=0) + 1, length):
        before, after = whole.get(start - 1, {}), whole.get(start, {})
        for identity in before.keys() & after.keys():
            first = counterpart(before[identity], cut.get(start - 1, {}))
            second = counterpart(after[identity], cut.get(start, {}))
            if first is not None and second is not None:
                yield first == second


def counterpart(pose: np.ndarray, people: People) -> int | None:
    """Return who of the other run the pose is of."""
    found: Sequence[tuple[float, int]] = [(distance(pose, p), i) for i, p in people.items()]
    nearest = min(found, default=(np.inf, 0))
    return nearest[1] if nearest[0] <= SAME_PERSON else None


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean distance of joints, in heights of the first pose."""
    apart = np.linalg.norm(first[:, :2] - second[:, :2], axis=1)
    height = max(float(np.nanmax(np.ptp(first[:, :2], axis=0))), 1.0)
    return float(np.nanmean(apart)) / height
