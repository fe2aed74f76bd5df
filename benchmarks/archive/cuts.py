"""What cuts change: poses behind them, and identities over them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

import edgepose
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.archive.settings import CutSettings, TrackSettings
from edgepose.people.association import assign_within

#: Poses of a whole and a cut video are one person's if their joints are so close on average, in
#: parts of the person's height.
SAME_PERSON = 0.2
#: So many frames behind a cut somebody may be found at the latest: half a second.
FRAMES_BEHIND = 12

People = dict[int, np.ndarray]


def compare_cuts(args: argparse.Namespace, folder: Path) -> list[str]:
    """Track videos whole and cut, and return what differs."""
    cuts = {"whole": CutSettings(), "cut": CutSettings(args.frames_per_unit, args.overlap)}
    for name, settings in cuts.items():
        tracking = TrackSettings(max_people=args.max_people)
        job = ArchiveJob(args.videos, folder / name, tracking, settings)
        run_archive(job, LocalEngine, 1)
    whole, cut = (edgepose.read_poses(folder / name) for name in cuts)
    return report(whole, cut, args.frames_per_unit)


def report(whole: edgepose.PoseTable, cut: edgepose.PoseTable, length: int) -> list[str]:
    """Return how far poses are apart, and how many identities go on over the cuts."""
    apart, kept = np.zeros(0), list[bool]()
    for video in whole.videos:
        pair = by_frame(whole.of_video(video)), by_frame(cut.of_video(video))
        apart = np.concatenate([apart, [d for d in distances(*pair) if np.isfinite(d)]])
        seen = [by_frame(tracked(table.of_video(video))) for table in (whole, cut)]
        kept += continuations(seen[0], seen[1], length)
    missing = len(whole) - len(apart)
    low, high = wilson_interval(sum(kept), len(kept))
    return [
        f"Poses: {len(whole)} whole, {len(cut)} cut; {missing} of the former have no counterpart.",
        "Distance of joints in heights of the person: "
        f"median {np.median(apart):.4f}, p95 {np.percentile(apart, 95):.4f}, "
        f"p99 {np.percentile(apart, 99):.4f}; {100 * (apart == 0).mean():.0f} % identical.",
        f"Identities joined over cuts: {sum(kept)} of {len(kept)} "
        f"({100 * sum(kept) / max(len(kept), 1):.1f} %, 95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %).",
    ]


def tracked(table: edgepose.PoseTable) -> edgepose.PoseTable:
    """Return the poses that were seen: of hidden people nobody knows where they are."""
    return table.select(table.state == str(edgepose.PersonState.TRACKED))


def by_frame(table: edgepose.PoseTable) -> dict[int, People]:
    """Return joints (K, 3) by frame and identity."""
    return {
        frame: {int(table.person_id[row]): table.keypoints[row] for row in rows}
        for _, frame, rows in table.groups()
    }


def distances(whole: dict[int, People], cut: dict[int, People]) -> Iterator[float]:
    """Yield the distance of each pose to its counterpart, infinite where there is none."""
    for frame, people in whole.items():
        pairs = counterparts(people, cut.get(frame, {}))
        for identity, pose in people.items():
            found = pairs.get(identity)
            yield np.inf if found is None else distance(pose, cut[frame][found])


def continuations(whole: dict[int, People], cut: dict[int, People], length: int) -> Iterator[bool]:
    """Yield whether each person who goes on over a cut keeps the identity there.

    Behind the cut it counts who the person is when both runs find them first.
    """
    for start in range(length, max(whole, default=0) + 1, length):
        behind = [
            counterparts(whole.get(frame, {}), cut.get(frame, {}))
            for frame in range(start, start + FRAMES_BEHIND)
        ]
        before = counterparts(whole.get(start - 1, {}), cut.get(start - 1, {}))
        for identity, first in before.items():
            second = next((pairs[identity] for pairs in behind if identity in pairs), None)
            if second is not None:
                yield first == second


def counterparts(whole: People, cut: People) -> dict[int, int]:
    """Return the identities of the same people in the other run, by those in the one."""
    costs = np.array([[distance(pose, other) for other in cut.values()] for pose in whole.values()])
    costs = costs.reshape(len(whole), len(cut))
    mine, others = list(whole), list(cut)
    return {mine[row]: others[column] for row, column in assign_within(costs, SAME_PERSON)}


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, from 0 to 1."""
    interval = binomtest(hits, max(count, 1)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean distance of joints, in heights of the first pose."""
    apart = np.linalg.norm(first[:, :2] - second[:, :2], axis=1)
    height = max(float(np.nanmax(np.ptp(first[:, :2], axis=0))), 1.0)
    return float(np.nanmean(apart)) / height
