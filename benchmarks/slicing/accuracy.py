"""Accuracy of refined heat-maps against the annotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.slicing.data import Unaries
from benchmarks.slicing.swaps import SwapCounts, count_swaps
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.evaluation.metrics.scoring import Measure, Score, score_clip
from edgepose.evaluation.uncertainty import Row, resample_score
from edgepose.methods.base import MethodSpec
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.sliding import SlidingSlice
from edgepose_runtime.thin_slicing.springs import Springs

Floats = NDArray[np.float32]
WIDE, NARROW = Measure("torso", 0.2), Measure("torso", 0.1)


class Outcome(NamedTuple):
    """One way of inference under one share of perturbed frames; PCK in percent of 12 limbs."""

    share: float
    name: str
    pck02: float
    pck01: float
    jitter: float
    pairs: int
    swapped: int
    repaired: int
    caused: int
    columns: dict[str, float]


def refined_outcome(
    name: str,
    springs: Springs | None,
    seen: Unaries,
    spec: MethodSpec,
    root: Path | None,
    lag: int,
) -> tuple[Outcome, Row]:
    """Score all clips, refined with springs; without any, the network's own heat-maps.

    Returns:
        The figures, and what their intervals come from.
    """
    known = {clip.name: clip for clip in read_jhmdb_clips(root or data_root() / "jhmdb", "val")}
    scores, swaps = [], SwapCounts()
    for index, clip_name in enumerate(seen.names):
        clip, rows = known[clip_name], slice(*seen.offsets[index : index + 2])
        maps, rois = seen.heatmaps[rows].astype(np.float32), seen.rois[rows]
        own = _decoded(heatmaps_of(maps, seen), rois, spec)
        poses = own
        if springs is not None:
            refined = np.stack(list(refine(maps, seen.grids[rows], springs, lag)))
            poses = _decoded(heatmaps_of(refined, seen), rois, spec)
        skeleton = PENN13
        scores.append(score_clip(poses, skeleton, clip, (WIDE, NARROW)))
        swaps += count_swaps(own, poses, skeleton, clip)
    score = Score(PENN13, tuple(scores))
    wide = score.pck(WIDE)
    outcome = Outcome(
        seen.share,
        name,
        wide.limbs12,
        score.pck(NARROW).limbs12,
        score.jitter,
        swaps.pairs,
        swaps.after,
        swaps.repaired,
        swaps.caused,
        wide.columns,
    )
    return outcome, Row(name, resample_score(score, "limbs12"))


def refine(
    maps: Floats, grids: NDArray[np.float16], springs: Springs, lag: int
) -> Iterator[Floats]:
    """Slide a slice over a clip as a tracker does; yield the scores of every frame."""
    sliding, middle = SlidingSlice(springs, lag), grids.shape[1] // 2

    def grid(receiver: int, sender: int) -> Floats:
        step = sender - receiver
        return np.asarray(grids[receiver, middle + step - (step > 0)], np.float32)

    for frame in range(len(maps)):
        sliding.push(maps[frame], grid)
        if frame >= lag:
            yield sliding.refined(frame - lag)
    for frame in range(max(0, len(maps) - lag), len(maps)):
        yield sliding.refined(frame)


def heatmaps_of(potentials: Floats, seen: Unaries) -> Floats:
    """Return the heat-maps that potentials stand for; joints are decoded from those alone."""
    if not seen.before_sigmoid:
        return potentials
    import torch

    from edgepose.models.thin_slicing.network import sigmoid_of_linearised

    heatmaps: Floats = sigmoid_of_linearised(torch.from_numpy(potentials)).numpy()
    return heatmaps


def _decoded(maps: Floats, rois: NDArray[np.float64], spec: MethodSpec) -> Floats:
    return np.stack(
        [spec.decode(each, Roi(*roi)) for each, roi in zip(maps, rois.tolist(), strict=True)]
    )
