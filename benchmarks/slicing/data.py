"""Heat-maps of a network on the clips, and the flow between their frames: computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.slicing.candidates import Unary
from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import person_boxes
from edgepose.evaluation.perturbation import Perturbation, perturbed
from edgepose.methods.base import MethodSpec
from edgepose.refinement.thin_slicing import flow_crop
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.thin_slicing.optical_flow import OpticalFlow, optical_flow
from edgepose_runtime.thin_slicing.warping import sampling_grid


class Unaries(NamedTuple):
    """A network's heat-maps of all frames of all clips.

    Attributes:
        share: of the frames that were perturbed.
        names: the clips.
        offsets: clip n owns frames offsets[n]:offsets[n + 1].
        heatmaps: float16 (N, K, h, h), or with a linearised sigmoid.
        rois: (N, 4).
        grids: float16 (N, 2 * reach, h, h, 2).
        before_sigmoid: what ``heatmaps`` are.
    """

    share: float
    names: list[str]
    offsets: NDArray[np.int64]
    heatmaps: NDArray[np.float16]
    rois: NDArray[np.float64]
    grids: NDArray[np.float16]
    before_sigmoid: bool = False


_ARRAYS = ("offsets", "heatmaps", "rois", "grids")


def collect(
    unary: Unary,
    clips: Sequence[Clip],
    share: float,
    reach: int,
    cache: Path | None,
    flow: str = "dis",
) -> Unaries:
    """Run a network in annotated boxes; or read what an earlier call kept."""
    file = None if cache is None else cache / f"{unary.key}-{share:g}-{flow}.npz"
    names = [clip.name for clip in clips]
    if file is not None and file.is_file():
        with np.load(file) as kept:
            arrays = [kept[name] for name in _ARRAYS]
            seen = Unaries(share, kept["names"].tolist(), *arrays, unary.before_sigmoid)
        if seen.names == names and seen.grids.shape[1] >= 2 * reach:
            return seen
    parts = [_seen(unary, perturbed(clip, Perturbation(share)), reach, flow) for clip in clips]
    offsets = np.cumsum([0, *(len(clip) for clip in clips)])
    arrays = [np.concatenate(values) for values in zip(*parts, strict=True)]
    seen = Unaries(share, names, offsets, *arrays, unary.before_sigmoid)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **seen._asdict())
    return seen


def _seen(
    unary: Unary, clip: Clip, reach: int, flow: str
) -> tuple[NDArray[np.float16], NDArray[np.float64], NDArray[np.float16]]:
    frames, spec = list(clip.frames()), unary.spec
    rois = [box.squared() for box in person_boxes(clip)]
    maps = [
        unary.look(spec.view.crop(frame, roi), roi).astype(np.float16)
        for frame, roi in zip(frames, rois, strict=True)
    ]
    greys = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8) for frame in frames]
    grids = list(_grids(greys, rois, spec, reach, optical_flow(flow)))
    return np.stack(maps), np.array([roi.as_tuple() for roi in rois]), np.stack(grids)


def _grids(
    greys: Sequence[NDArray[np.uint8]],
    rois: Sequence[Roi],
    spec: MethodSpec,
    reach: int,
    flow: OpticalFlow,
) -> Iterator[NDArray[np.float16]]:
    cells = spec.heatmap_size
    offsets = [*range(-reach, 0), *range(1, reach + 1)]
    for frame, roi in enumerate(rois):
        grids = np.full((len(offsets), cells, cells, 2), np.nan, np.float16)
        here = flow_crop(greys[frame], roi)
        for d, offset in enumerate(offsets):
            other = frame + offset
            if 0 <= other < len(rois):
                moved = flow(here, flow_crop(greys[other], roi))
                grids[d] = sampling_grid(
                    moved, roi, rois[other], cells, stride=spec.stride, offset=spec.offset
                )
        yield grids
