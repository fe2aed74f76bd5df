"""Trains the network that estimates the error of propagated joints, on JHMDB's training clips.

``python -m benchmarks keyframe-decision`` writes ``edgepose/keyframes/learned.json``; it takes ten
minutes of a core. Every frame of a clip is once a key frame, from which joints are propagated; the
network learns by how much their error, over this frame and the next ones, exceeds that of a pose
that is estimated now. Its outputs are then made comparable with the drift: the same tolerance
gives as many key frames with both. What does that for the uncertainty is printed:
``DEVIATIONS`` and ``COMBINED_DEVIATIONS`` of :mod:`edgepose.keyframes.propagation`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.evaluation.metrics.pck import torso_lengths
from edgepose.inference.estimator import StageClock
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.keyframes.dynamics import KEYS, DynamicsForecast, combined, flow_forecast
from edgepose.keyframes.learned import (
    FEATURES,
    LARGEST,
    WEIGHTS,
    LearnedError,
    features_of,
    save_learned_error,
)
from edgepose.keyframes.propagation import mean_deviation
from edgepose.keyframes.segment import Segment
from edgepose.tracking.frame import Frame
from edgepose.tracking.strategies import LocalHead
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.optical_flow import FlowStep, JointFlow
from edgepose_runtime.poses.skeletons import Skeleton

Doubles = NDArray[np.float64]
#: Estimates the error of propagated joints; ``None`` if no joint is known.
ErrorOf = Callable[[Segment, DynamicsForecast], float | None]

#: Frames that joints are propagated at most, and that a look is good for besides its own.
FRAMES, AHEAD = 12, 3
#: An error of this many torsos counts half.
HALF = 0.15
#: The gain of a look is cut off here: few frames, such as cuts, would decide the fit.
LEAST_GAIN, LARGEST_GAIN = -0.2, 0.5
HIDDEN, EPOCHS, BATCH, RATE, DECAY = 8, 12, 1024, 1e-2, 1e-2
#: Tolerances at which outputs and drift are made comparable.
TOLERANCES = (0.005, 0.01, 0.015, 0.02, 0.03, 0.045)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Walk:
    """One clip, every frame of which was processed.

    Attributes:
        truth: (T, K, 3) the annotation; score 0 where there is none.
        torsos: (T,) lengths in pixels.
        poses: (T, K, 3) of the networks; NaN where nobody was found.
        sides: (T,) of the regions; NaN likewise.
        steps: of each frame, how flow propagates its joints into those that follow.
    """

    truth: Doubles
    torsos: Doubles
    poses: NDArray[np.float32]
    sides: Doubles
    steps: list[list[FlowStep]]


def walk_clip(model: PoseModel, clip: Clip) -> Walk:
    """Process a clip frame by frame, and propagate the joints from each."""
    skeleton, frames = model.skeleton, list(clip.frames())
    stream = PoseStream(model, head=LocalHead(1))  # as on key frames
    poses = np.full((len(frames), skeleton.num_joints, 3), np.nan, np.float32)
    sides, steps = np.full(len(frames), np.nan), list[list[FlowStep]]()
    for t, image in enumerate(frames):
        stream.process(Frame(t, image, 1000 * t / clip.fps), StageClock())
        seen = stream.last_observation
        if seen is None:
            steps.append([])
            continue
        poses[t], sides[t] = seen.keypoints, seen.roi.width
        steps.append(_steps(skeleton, frames[t : t + FRAMES + 1], seen.roi, seen.keypoints))
    truth = convert_keypoints(clip.keypoints, clip.skeleton, skeleton).astype(np.float64)
    torsos = np.maximum(torso_lengths(truth, poses, skeleton), 1.0)
    return Walk(truth, torsos, poses, sides, steps)


def _steps(
    skeleton: Skeleton, frames: Sequence[NDArray[np.uint8]], roi: Roi, pose: NDArray[np.float32]
) -> list[FlowStep]:
    flow = JointFlow(skeleton.num_joints, skeleton.limbs)
    flow.start(frames[0], roi, pose[:, :2])
    steps = []
    for image in frames[1:]:
        step = flow.step(image)
        flow.accept(step)
        steps.append(replace(step, view=()))  # views are large
    return steps


def key_frame(walk: Walk, key: int, before: int | None) -> Segment:
    """Return the segment that begins at a key frame, where the last one was `before`."""
    surprise = 0.0
    if before is not None and key - before <= len(walk.steps[before]):
        expected = walk.steps[before][key - before - 1].joints
        weight = np.minimum(walk.poses[before, :, 2], walk.poses[key, :, 2])
        apart = np.hypot(*(expected - walk.poses[key, :, :2]).T)
        surprise = float((weight * apart).sum() / max(weight.sum(), 1e-9) / walk.sides[key])
    return Segment.after_key_frame(walk.poses[key], walk.sides[key], surprise)


def error_of(walk: Walk, joints: NDArray[np.floating], frame: int) -> float:
    """Return the mean over the limb joints of an error that saturates, from 0 to 1; NaN if none."""
    limbs = walk.truth[frame, :, 2] > 0
    limbs[0] = False  # the head has no joint of its own in the annotation
    apart = np.hypot(*(joints - walk.truth[frame, :, :2]).T)[limbs] / walk.torsos[frame]
    return float((apart**2 / (apart**2 + HALF**2)).mean()) if limbs.any() else float("nan")


def gain_of(walk: Walk, key: int, frame: int) -> float:
    """Return by how much a look at a frame lowers the error, over it and the next ones."""
    gains = []
    for t in range(frame, min(frame + AHEAD + 1, len(walk.poses), key + FRAMES + 1)):
        fresh = walk.poses[t, :, :2] if t == frame else walk.steps[frame][t - frame - 1].joints
        stale = walk.steps[key][t - key - 1].joints
        gains.append(error_of(walk, stale, t) - error_of(walk, fresh, t))
    return float(np.nanmean(gains)) if np.isfinite(gains).any() else float("nan")


def training_set(
    walks: Sequence[Walk], limbs: NDArray[np.int64], random: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Return features (N, F), and the gains (N,) of a look."""
    rows: list[Doubles] = []
    gains: list[float] = []
    for walk in walks:
        for key in np.flatnonzero(np.isfinite(walk.sides)):
            keys = _history(walk, int(key), random)
            dynamics = _dynamics(walk, keys)
            segment = key_frame(walk, keys[-1], keys[-2] if len(keys) > 1 else None)
            for ahead, step in enumerate(walk.steps[key], 1):
                segment = segment.extended(step)
                frame = int(key) + ahead
                features = features_of(segment, dynamics.after(segment), limbs)
                if features is None or not np.isfinite(walk.sides[frame]):
                    break
                gain = gain_of(walk, int(key), frame)
                if np.isfinite(gain):
                    rows.append(features)
                    gains.append(gain)
    return np.stack(rows), np.clip(gains, LEAST_GAIN, LARGEST_GAIN)


def _history(walk: Walk, key: int, random: np.random.Generator) -> list[int]:
    """Return key frames at random steps that end with this one."""
    keys = [key]
    while len(keys) < KEYS:
        before = keys[0] - int(random.integers(1, 9))
        if before < 0 or not np.isfinite(walk.sides[before]):
            break
        keys.insert(0, before)
    return keys


def _dynamics(walk: Walk, keys: Sequence[int]) -> DynamicsForecast:
    dynamics = DynamicsForecast()
    for key in keys:
        dynamics.add(key, walk.poses[key])
    return dynamics


def fit(features: Doubles, gains: Doubles, seed: int = 0) -> LearnedError:
    """Train the network; its errors are its outputs."""
    import torch

    torch.manual_seed(seed)
    roots = np.sqrt(np.maximum(features, 0))
    mean, deviation = roots.mean(axis=0), roots.std(axis=0)
    scaled = np.clip((roots - mean) / deviation, -LARGEST, LARGEST)
    inputs = torch.tensor(scaled, dtype=torch.float32)
    targets = torch.tensor(gains, dtype=torch.float32)[:, None]
    network = torch.nn.Sequential(
        torch.nn.Linear(len(FEATURES), HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 1)
    )
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(inputs)).split(BATCH):
            loss = torch.nn.functional.mse_loss(network(inputs[chosen]), targets[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    weights = [each.detach().numpy().astype(np.float64) for each in network.parameters()]
    hidden, hidden_bias, out, out_bias = weights
    ends = np.array([0.0, 1.0])
    return LearnedError(
        mean, deviation, hidden, hidden_bias, out[0], float(out_bias[0]), ends, ends
    )


def learned_error(network: LearnedError, limbs: NDArray[np.int64]) -> ErrorOf:
    """Return the output of the network as an error."""

    def error(segment: Segment, dynamics: DynamicsForecast) -> float | None:
        features = features_of(segment, dynamics.after(segment), limbs)
        return None if features is None else float(network.output(features))

    return error


def deviation(segment: Segment, dynamics: DynamicsForecast) -> float | None:
    """Return the standard deviation of dynamics as an error."""
    return mean_deviation(dynamics.after(segment))


def combined_deviation(segment: Segment, dynamics: DynamicsForecast) -> float | None:
    """Return that of dynamics and flow combined."""
    return mean_deviation(combined(flow_forecast(segment), dynamics.after(segment)))


def drifted(segment: Segment, _dynamics: DynamicsForecast) -> float:
    """Return how far the joints drifted."""
    return segment.drifted


def comparable(error: ErrorOf, walks: Sequence[Walk], low: float, high: float) -> Doubles:
    """Return the errors that are exceeded as often as the drift exceeds each tolerance."""
    found = []
    for tolerance in TOLERANCES:
        wanted, bounds = _share_of_looks(drifted, walks, tolerance), (low, high)
        for _ in range(10):
            middle = sum(bounds) / 2
            fewer = _share_of_looks(error, walks, middle) <= wanted
            bounds = (bounds[0], middle) if fewer else (middle, bounds[1])
        found.append(bounds[1])
        _LOG.info("tolerance %.3f: looks %.1f %%, error %.4f", tolerance, 100 * wanted, bounds[1])
    return np.array(found)


def _share_of_looks(error: ErrorOf, walks: Sequence[Walk], threshold: float) -> float:
    looks = sum(_count_looks(error, walk, threshold) for walk in walks)
    return looks / sum(len(walk.poses) - 1 for walk in walks)


def _count_looks(error_of_segment: ErrorOf, walk: Walk, threshold: float) -> int:
    """Count the key frames after the first where one follows as soon as an error is exceeded."""
    looks, keys = -1, list[int]()
    segment: Segment | None = None
    dynamics = DynamicsForecast()
    for frame, side in enumerate(walk.sides):
        ahead = frame - keys[-1] if keys else 0
        if segment is not None and np.isfinite(side) and ahead <= FRAMES:
            segment = segment.extended(walk.steps[keys[-1]][ahead - 1])
            error = error_of_segment(segment, dynamics)
            if (segment.drifted if error is None else error) <= threshold:
                continue
        looks += 1
        if not np.isfinite(side):
            segment, dynamics = None, DynamicsForecast()
            keys.clear()
            continue
        segment = key_frame(walk, frame, keys[-1] if keys else None)
        dynamics.add(frame, walk.poses[frame])
        keys.append(frame)
    return looks


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks keyframe-decision")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--limit-clips", type=int, default=150, metavar="N", help="random clips")
    parser.add_argument("--out", type=Path, default=WEIGHTS, metavar="FILE", help="where to write")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Train the network and write it."""
    args = parse_arguments(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    random = np.random.default_rng(0)
    clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", "train", "A")
    chosen = sorted(random.permutation(len(clips))[: args.limit_clips])
    with load(args.model, num_threads=1) as model:
        walks = [walk_clip(model, clips[index]) for index in chosen]
        limbs = np.array(model.skeleton.limbs, np.int64)
    features, gains = training_set(walks, limbs, random)
    network = fit(features, gains)
    fitting = np.corrcoef(network.output(features), gains)[0, 1]
    _LOG.info("%d clips, %d frames, correlation %.3f", len(walks), len(gains), fitting)
    outputs = comparable(learned_error(network, limbs), walks, LEAST_GAIN, LARGEST_GAIN)
    network = replace(network, outputs=outputs, errors=np.array(TOLERANCES))
    save_learned_error(network, args.out)
    _LOG.info("DEVIATIONS:")
    comparable(deviation, walks, 0.03, 0.1)
    _LOG.info("COMBINED_DEVIATIONS:")
    comparable(combined_deviation, walks, 0.0, 0.1)


if __name__ == "__main__":
    main()
