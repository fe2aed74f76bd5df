"""Object keypoint similarity (OKS) and average recall, as COCO defines them, for limb joints.

The similarity of one joint is ``exp(-d^2 / (2 * area * (2 * sigma)^2))``: d is its error in
pixels, sigma how much annotators disagree about joints of its kind. A person's OKS is the mean over
the labelled joints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose.evaluation.metrics.pck import LIMB_JOINTS
from edgepose_runtime.errors import ConfigError

FloatArray = NDArray[np.floating]

#: COCO's falloffs, the same on both sides of the body.
_SIGMAS = {
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
LIMB_SIGMAS: NDArray[np.float64] = np.array([_SIGMAS[name.split("_")[1]] for name in LIMB_JOINTS])
"""COCO's sigma of each of ``LIMB_JOINTS``, (12,)."""

BOX_TO_AREA = 0.53
"""Area of a person in parts of the box, where there is no mask (as in CrowdPose and AIC)."""

THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
"""OKS .50:.95, over which the recall is averaged."""


def keypoint_similarity(
    errors: FloatArray, labelled: NDArray[np.bool_], areas: FloatArray, sigmas: FloatArray
) -> NDArray[np.float64]:
    """Return the OKS of each person, (N,) from 0 to 1.

    Args:
        errors: (N, K) distance of each predicted joint from its label in pixels; NaN for a joint
            that was not found, which has similarity 0.
        labelled: (N, K) which joints have a label; at least one of each person.
        areas: (N,) of each person, in square pixels.
        sigmas: (K,) how far annotators differ, in parts of the square root of the area.

    Raises:
        ConfigError: a person has no labelled joint, or an area that is not above 0.
    """
    if not labelled.any(axis=1).all() or not (areas > 0).all():
        raise ConfigError(
            "The OKS needs a labelled joint and an area above 0 of each person; leave others out."
        )
    variances = 2 * areas[:, None] * (2 * sigmas) ** 2
    similarity = np.where(np.isnan(errors), 0, np.exp(-np.square(errors) / variances))
    return np.asarray((similarity * labelled).sum(axis=1) / labelled.sum(axis=1), np.float64)


def recalls(similarities: FloatArray) -> NDArray[np.float64]:
    """Return at how many of ``THRESHOLDS`` each person counts as found, in parts of 1.

    The mean over people is the average recall.

    Args:
        similarities: (N,) the OKS of each person; exactly at a threshold counts.
    """
    # A hair below: 0.7 from linspace is not the float 0.7.
    reached = similarities[:, None] >= THRESHOLDS - 1e-9
    return np.asarray(reached.mean(axis=1), np.float64)
