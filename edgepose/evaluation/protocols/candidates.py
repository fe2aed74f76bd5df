"""A model in the ways that it is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgepose.evaluation.protocols.gt_box import BodyOnlyMethod, CropConvention, GtBoxPredictor
from edgepose.evaluation.protocols.runner import Candidate
from edgepose.evaluation.protocols.tracker import TrackerPredictor
from edgepose.inference.model import PoseModel
from edgepose.methods.framewise import FramewiseMethod
from edgepose.tracker import PoseTracker

Segment = int | None | Literal["body"]
"""Frames from one run of the head to the next, ``None`` for the first frame only, or "body" for
the light network by itself."""

PAPER_SEGMENTS: tuple[Segment, ...] = ("body", 1, 2, 5, 10, 15, None)
"""What the PPN paper's Table 3 compares, and the two ends of it."""


def in_boxes(
    model: PoseModel,
    segments: Sequence[Segment],
    *,
    flip: bool = False,
    scales: tuple[float, ...] = (1.0,),
    crop: CropConvention = "person",
) -> list[Candidate]:
    """The ``gt-box`` protocol, once for every segment length.

    A frame-wise model has no head to run again and is one candidate, whatever the segments.
    """
    method, how = model.method, (flip, scales, crop)
    if isinstance(method, FramewiseMethod):
        return [Candidate(model.name, GtBoxPredictor(method, None, *how))]
    return [
        Candidate(f"{model.name} body alone", GtBoxPredictor(BodyOnlyMethod(method), None, *how))
        if segment == "body"
        else Candidate(
            f"{model.name} T={segment or 'never'}", GtBoxPredictor(method, segment, *how)
        )
        for segment in segments
    ]


def as_tracker(model: PoseModel, *, smoothing: bool = True) -> Candidate:
    """The ``tracker`` protocol with the tracker's own defaults, or without its smoothing."""
    label = f"{model.name} tracker{'' if smoothing else ', unsmoothed'}"
    return Candidate(
        label, TrackerPredictor(model.skeleton, lambda: PoseTracker(model, smoothing=smoothing))
    )
