"""Identities and joints on composed videos, whose truth is exact: ours beside others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.people.composing import ComposedFrame, compose, empty_background
from benchmarks.people.cutouts import Cutout
from benchmarks.people.scenes import FPS, make_scene
from edgepose.evaluation.metrics.identity import IdentityMetrics, MatchedFrame
from edgepose.evaluation.metrics.pck import torso_lengths
from edgepose.evaluation.protocols.several import IdentifiedPose, PeopleCandidate, matched_frame
from edgepose.evaluation.report import Table, figure
from edgepose.people.association import assign_within
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import JHMDB15, Skeleton

#: A joint is right within this part of the torso; a pose is somebody's from this overlap on.
ALPHA, LEAST_OVERLAP = 0.2, 0.3
POOLED = "all"


@dataclass
class Tracked:
    """What a tracker made of some videos.

    Attributes:
        videos: people of each frame of each video, with the annotated ones.
        hits: joints that are right.
        joints: joints that are seen.
        took_ms: of each frame.
    """

    videos: list[list[MatchedFrame]] = field(default_factory=list)
    hits: int = 0
    joints: int = 0
    took_ms: list[float] = field(default_factory=list)


class Score(NamedTuple):
    """One candidate on the videos of one kind; accuracies in percent.

    Attributes:
        label: of the candidate.
        kind: of the videos, or ``POOLED``.
        hota: higher order tracking accuracy.
        idf1: share of people under their own identity.
        mota: multiple object tracking accuracy.
        switches: how often somebody's identity changed.
        misses: people without a pose.
        inventions: poses of nobody.
        pck: joints that are seen and right; those of people without a pose are wrong.
        mean_ms: per frame.
    """

    label: str
    kind: str
    hota: float
    idf1: float
    mota: float
    switches: int
    misses: int
    inventions: int
    pck: float
    mean_ms: float


def compare(
    candidates: Sequence[PeopleCandidate],
    people: Sequence[Sequence[Cutout]],
    kinds: Sequence[str],
    seeds: Sequence[int],
    skeleton: Skeleton,
) -> list[Score]:
    """Follow everybody in composed videos with each candidate, which take turns frame by frame.

    Args:
        candidates: who is compared.
        people: who is composed into the videos.
        kinds: of the videos.
        seeds: of the videos of each kind.
        skeleton: of the candidates' poses.
    """
    done = {(each.label, kind): Tracked() for each in candidates for kind in kinds}
    for kind in kinds:
        for seed in seeds:
            frames = compose(make_scene(kind, seed), people, empty_background(seed), seed)
            _follow(candidates, kind, list(frames), skeleton, done)
    metrics = IdentityMetrics()
    return [
        score
        for each in candidates
        for score in _scores(metrics, each.label, {kind: done[each.label, kind] for kind in kinds})
    ]


def table(scores: Sequence[Score]) -> Table:
    """Return the scores as text."""
    header = ("HOTA", "IDF1", "MOTA", "switches", "misses", "invented", "PCK", "ms/frame")
    rows = tuple(
        (
            f"{each.label}, {each.kind}",
            *(figure(value) for value in (each.hota, each.idf1, each.mota)),
            *(str(count) for count in (each.switches, each.misses, each.inventions)),
            figure(each.pck),
            figure(each.mean_ms),
        )
        for each in scores
    )
    return Table("composed videos", ("", *header), rows)


def _follow(
    candidates: Sequence[PeopleCandidate],
    kind: str,
    frames: Sequence[ComposedFrame],
    skeleton: Skeleton,
    done: dict[tuple[str, str], Tracked],
) -> None:
    trackers = {each.label: each.new_tracker() for each in candidates}
    for label in trackers:
        done[label, kind].videos.append([])
    for index, frame in enumerate(frames):
        ids = np.array([row[1] for row in frame.rows], np.int64)
        boxes = np.array([row[2:] for row in frame.rows]).reshape(-1, 4)
        truth = [convert_keypoints(joints, JHMDB15, skeleton) for joints in frame.joints]
        for label, tracker in trackers.items():
            tracked = done[label, kind]
            start = time.perf_counter()
            found = tracker.track(frame.image, 1e3 * index / FPS)
            tracked.took_ms.append((time.perf_counter() - start) * 1e3)
            matched = matched_frame(ids, boxes, found)
            tracked.videos[-1].append(matched)
            hits, joints = _right_joints(truth, found, matched, skeleton)
            tracked.hits += hits
            tracked.joints += joints
    for tracker in trackers.values():
        tracker.close()


def _right_joints(
    truth: Sequence[NDArray[np.floating]],
    found: Sequence[IdentifiedPose],
    matched: MatchedFrame,
    skeleton: Skeleton,
) -> tuple[int, int]:
    """Return how many joints of a frame are right, and how many are seen."""
    pairs = assign_within(1 - matched.similarity, 1 - LEAST_OVERLAP) if len(found) else []
    poses = dict(found)
    hits = 0
    for row, column in pairs:
        pose = poses[int(matched.predicted_ids[column])]
        lengths = torso_lengths(truth[row][None], pose[None], skeleton)
        errors = np.linalg.norm(pose[:, :2] - truth[row][:, :2], axis=1)
        hits += int(((errors <= ALPHA * lengths[0]) & (truth[row][:, 2] > 0)).sum())
    return hits, int(sum((joints[:, 2] > 0).sum() for joints in truth))


def _scores(metrics: IdentityMetrics, label: str, done: dict[str, Tracked]) -> list[Score]:
    """Return the scores of one candidate by kind, and last of all videos together."""
    together = Tracked(
        [video for each in done.values() for video in each.videos],
        sum(each.hits for each in done.values()),
        sum(each.joints for each in done.values()),
        [took for each in done.values() for took in each.took_ms],
    )
    return [_score(metrics, label, kind, each) for kind, each in {**done, POOLED: together}.items()]


def _score(metrics: IdentityMetrics, label: str, kind: str, tracked: Tracked) -> Score:
    score = metrics.evaluate(tracked.videos)[-1]
    return Score(
        label,
        kind,
        score.hota,
        score.idf1,
        score.mota,
        score.switches,
        score.misses,
        score.inventions,
        100 * tracked.hits / max(tracked.joints, 1),
        float(np.mean(tracked.took_ms)),
    )
