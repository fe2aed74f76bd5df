"""Draw the pose kernels of Dynamic Kernel Distillation and their responses (Fig. 3 of the paper).

    python -m benchmarks.dkd.kernel_strip MODEL VIDEO OUT.png [--joints head,left_wrist] [--every 5]

MODEL is a bundle, or a checkpoint of `edgepose train`, which needs PyTorch; both need the package
onnx. Each column is a frame. Each joint has two rows: its pose kernel, distilled from the previous
frame (the sum of all channels' kernels, weighted by the joint's row of U), and the heat-map of this
frame. Frames on which the pose initialiser ran have no kernel.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

import edgepose
from edgepose.cli.main import main as edgepose_command
from edgepose.inference.model import bundle_path
from edgepose.tracking.strategies import TrackedFrame
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.crop import crop_frame

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
TILE, GAP, LABEL = 96, 4, 112


class KernelStrip:
    """Draws one column every N frames; passed to a tracker as ``refine``. It changes no pose.

    Args:
        weights: U of the model, (K, C).
        joints: indices of the joints to draw.
        every: draw every N-th frame.
    """

    lag_frames = 0

    def __init__(self, weights: Floats, joints: list[int], every: int) -> None:
        self.columns: list[Picture] = []
        self._weights, self._joints, self._every = weights, joints, every
        self._kernels: Floats | None = None

    def new_refiner(self, _model: edgepose.PoseModel, _smoothing: object) -> KernelStrip:
        """Return the strip itself."""
        return self

    def warmup(self) -> None:
        """Do nothing."""

    def flush(self) -> list[edgepose.PoseResult]:
        """Return nothing: nothing is held back."""
        return []

    def reset(self) -> None:
        """Forget the kernels."""
        self._kernels = None

    def take(self, tracked: TrackedFrame) -> list[edgepose.PoseResult]:
        """Draw a frame in which somebody was found."""
        if tracked.observation is None:
            self._kernels = None
            return [tracked.result]
        matched = tracked.result.origin is edgepose.Origin.MATCHED
        if tracked.result.frame_id % self._every == 0:
            maps = tracked.observation.estimate.heatmaps
            crop = crop_frame(tracked.image, tracked.observation.roi, TILE)
            self.columns.append(self._column(crop, maps, self._kernels if matched else None))
        self._kernels = tracked.observation.estimate.state.kernels
        return [tracked.result]

    def _column(self, crop: Picture, maps: Floats, kernels: Floats | None) -> Picture:
        tiles = [crop]
        for joint in self._joints:
            if kernels is None:
                tiles.append(np.full((TILE, TILE, 3), 128, np.uint8))
            else:
                tiles.append(drawn_kernel(np.tensordot(self._weights[joint], kernels, 1)))
            tiles.append(drawn_response(maps[joint], crop))
        return np.vstack([framed(tile) for tile in tiles])


def drawn_kernel(kernel: Floats) -> Picture:
    """Draw a kernel: positive weights are bright, negative ones dark."""
    largest = max(float(np.abs(kernel).max()), 1e-9)
    levels = np.rint(127.5 * (1 + kernel / largest)).astype(np.uint8)
    large = cv2.resize(levels, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS), np.uint8)


def drawn_response(response: Floats, crop: Picture) -> Picture:
    """Draw a response map over the crop, from its median (transparent) to its maximum (red)."""
    rest, top = float(np.median(response)), float(response.max())
    strength = np.clip((response - rest) / max(top - rest, 1e-9), 0, 1)
    large = cv2.resize(strength, (TILE, TILE), interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap(np.rint(255 * large).astype(np.uint8), cv2.COLORMAP_JET)
    share = 0.25 + 0.5 * large[:, :, None]
    mixed: Picture = np.rint(colors * share + crop * (1 - share)).astype(np.uint8)
    return mixed


def framed(tile: Picture) -> Picture:
    """Put a gap around a tile."""
    return np.pad(tile, ((GAP // 2,) * 2, (GAP // 2,) * 2, (0, 0)), constant_values=255)


def labelled(columns: list[Picture], joints: list[str]) -> Picture:
    """Join the columns and label the rows on the left."""
    strip = np.hstack(columns)
    margin = np.full((len(strip), LABEL, 3), 255, np.uint8)
    names = ["frame"]
    for joint in joints:
        names += [joint, "response"]
    for row, name in enumerate(names):
        place = (4, row * (TILE + GAP) + TILE // 2)
        cv2.putText(margin, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.hstack([margin, strip])


def weights_of(bundle: Path) -> Floats:
    """Return U of a bundle, (K, C): the weight of each channel for each joint."""
    manifest = load_bundle(bundle).manifest
    if manifest.method != "distillation":
        sys.exit(f"{bundle} is not a model of Dynamic Kernel Distillation.")
    graph = onnx.load(bundle / manifest.graphs["step"].file).graph
    for stored in graph.initializer:  # (1, 1, K, C, 1): matching multiplies kernels with it
        if len(stored.dims) == 5:
            weights: Any = onnx.numpy_helper.to_array(stored)
            return np.asarray(weights.reshape(weights.shape[2], -1), np.float32)
    sys.exit(f"{bundle} has no pose kernels.")


def draw(bundle: Path, args: argparse.Namespace) -> None:
    """Track the person in a video and write the strip."""
    with edgepose.load(bundle) as model:
        names = args.joints.split(",")
        joints = [model.skeleton.index(name) for name in names]
        strip = KernelStrip(weights_of(bundle), joints, args.every)
        with (
            open_source(args.video) as source,
            edgepose.PoseTracker(model, refine=strip) as tracker,
        ):
            for frame in islice(source, args.every * args.columns):
                tracker.track(frame.image, timestamp_ms=frame.timestamp_ms)
    if not strip.columns:
        sys.exit(f"Nobody was found in {args.video}.")
    cv2.imwrite(str(args.out), labelled(strip.columns, names))
    print(f"Wrote {args.out}.")


def run(args: argparse.Namespace) -> None:
    """Convert the model first if it is a checkpoint, then draw."""
    if args.model.suffix != ".pt":
        draw(bundle_path(args.model), args)
        return
    with TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        if edgepose_command(["convert", str(args.model), str(bundle)]) != 0:
            sys.exit(1)
        draw(bundle, args)


def main(words: list[str]) -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description="Draw pose kernels and their responses.")
    parser.add_argument("model", type=Path, help="a bundle of DKD, or a checkpoint (.pt)")
    parser.add_argument("video", help="a video of one person")
    parser.add_argument("out", type=Path, help="a PNG file")
    parser.add_argument("--joints", default="head,left_wrist,right_ankle")
    parser.add_argument("--every", type=int, default=5, help="draw every N-th frame")
    parser.add_argument("--columns", type=int, default=12, help="number of frames to draw")
    run(parser.parse_args(words))


if __name__ == "__main__":
    main(sys.argv[1:])
