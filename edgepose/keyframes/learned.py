"""The expected error of propagated joints, estimated by a small network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.keyframes.dynamics import Forecast
from edgepose.keyframes.segment import Segment
from edgepose_runtime.errors import BundleFormatError

Doubles = NDArray[np.float64]
Limbs = NDArray[np.int64]

WEIGHTS = Path(__file__).parent / "learned.json"
FORMAT, VERSION = "edgepose.key-frame-decision", 1
#: What the network sees, in its order; all but the first and the score in sides of the region.
FEATURES = (
    "frames",
    "drifted",
    "moved, mean",
    "moved, largest",
    "doubt, mean",
    "doubts, mean",
    "score, mean",
    "limb length change, mean",
    "limb length change, largest",
    "surprise",
    "distance from dynamics, mean",
)
#: Normalised features are cut off here: what was never seen says no more than what is rare.
LARGEST = 3.0


def features_of(segment: Segment, dynamics: Forecast, limbs: Limbs) -> Doubles | None:
    """Return what the network sees of a segment; ``None`` if no joint is known.

    Args:
        segment: since the last key frame, with at least one frame.
        dynamics: the pose that the dictionary of dynamics expects.
        limbs: (L, 2) joints that are neighbours on the body.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(segment.joints).all(axis=1))
    if not known.any():
        return None
    apart = _lengths(dynamics.joints - segment.joints)
    change = np.abs(_lengths(_along(segment.key, limbs)) - _lengths(_along(segment.joints, limbs)))
    change = change[np.isfinite(change)] if known.sum() < len(known) else change
    moved, doubt, doubts, score = (
        each[known] for each in (segment.moved, segment.doubt, segment.doubts, segment.key[:, 2])
    )
    return np.array(
        [
            segment.frames,
            segment.drifted,
            moved.mean(),
            moved.max(),
            doubt.mean(),
            doubts.mean(),
            score.mean(),
            change.mean() / segment.side if len(change) else 0.0,
            change.max() / segment.side if len(change) else 0.0,
            segment.surprise,
            apart[known].mean() / segment.side,
        ]
    )


def _along(joints: NDArray[np.floating], limbs: Limbs) -> NDArray[np.floating]:
    ends = joints[limbs[:, 0], :2] - joints[limbs[:, 1], :2]
    return np.asarray(ends)


def _lengths(ways: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.hypot(ways[:, 0], ways[:, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class LearnedError:
    """A network of one hidden layer: features to the error that a look would save.

    Attributes:
        mean: (F,) of the square roots of the features in training.
        deviation: (F,) likewise.
        hidden: (H, F) weights.
        hidden_bias: (H,).
        out: (H,) weights.
        out_bias: of the output.
        outputs: (N,) rising outputs, ...
        errors: (N,) ... and the drift that is exceeded as often, in sides of the region.
    """

    mean: Doubles
    deviation: Doubles
    hidden: Doubles
    hidden_bias: Doubles
    out: Doubles
    out_bias: float
    outputs: Doubles
    errors: Doubles

    def output(self, features: Doubles) -> NDArray[np.float64]:
        """Return the outputs (...,) for features (..., F)."""
        scaled = (np.sqrt(np.maximum(features, 0)) - self.mean) / self.deviation
        hidden = np.tanh(np.clip(scaled, -LARGEST, LARGEST) @ self.hidden.T + self.hidden_bias)
        return np.asarray(hidden @ self.out + self.out_bias, np.float64)

    def error(self, features: Doubles) -> float:
        """Return the expected error in sides of the region, comparable with a tolerance."""
        return on_line(float(self.output(features)), self.outputs, self.errors)


def on_line(value: float, xs: Doubles, ys: Doubles) -> float:
    """Interpolate between points of rising x, and extrapolate by the two next to each end.

    Args:
        value: an x.
        xs: (N,) rising, at least 2.
        ys: (N,) what belongs to them.

    Returns:
        The y, at least 0.
    """
    place = min(max(int(np.searchsorted(xs, value)), 1), len(xs) - 1)
    slope = (ys[place] - ys[place - 1]) / (xs[place] - xs[place - 1])
    return float(max(ys[place] + slope * (value - xs[place]), 0.0))


@lru_cache(maxsize=1)
def load_learned_error(path: Path = WEIGHTS) -> LearnedError:
    """Read a network.

    Raises:
        BundleFormatError: the file is damaged, or made for other features.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError("another format or version")
        if tuple(content["features"]) != FEATURES:
            raise ValueError("other features")
        values: dict[str, Any] = {
            name: np.array(value, np.float64) for name, value in content["network"].items()
        }
        values["out_bias"] = float(values["out_bias"])
        return LearnedError(**values)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BundleFormatError(
            f"The network of the key-frame decision at {path} cannot be read: {error!r}. Install "
            "edgepose again."
        ) from error


def save_learned_error(network: LearnedError, path: Path = WEIGHTS) -> None:
    """Write a network, with six significant digits."""
    names = [name for name in LearnedError.__slots__ if name != "out_bias"]
    values: dict[str, Any] = {name: _rounded(getattr(network, name)) for name in names}
    values["out_bias"] = float(f"{network.out_bias:.6g}")
    content = {"format": FORMAT, "version": VERSION, "features": FEATURES, "network": values}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _rounded(values: Doubles) -> Any:
    return (
        [float(f"{each:.6g}") for each in values]
        if values.ndim == 1
        else list(map(_rounded, values))
    )
