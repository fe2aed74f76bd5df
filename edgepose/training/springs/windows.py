"""Short stretches of clips as thin-slicing sees them: heat-maps, flow between frames, joints.

The network that makes the heat-maps runs once; springs are then learned in minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgepose.datasets.boxes import joints_box
from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.methods.base import Crop, Heatmaps, Method, MethodSpec
from edgepose.refinement.thin_slicing import flow_crop
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.files import DAMAGED_ARCHIVE, require_regular, require_small
from edgepose_runtime.geometry.roi import Roi, frame_to_crop
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.thin_slicing.optical_flow import OpticalFlow
from edgepose_runtime.thin_slicing.warping import sampling_grid

Look = Callable[[Crop, Roi], Heatmaps]

#: Bytes of a file of windows, at most.
LARGEST_WINDOWS = 16 << 30


@dataclass(frozen=True)
class SliceWindows:
    """N windows of F consecutive frames.

    Attributes:
        heatmaps: float16 (N, F, K, h, h).
        grids: float16 (N, F, 2 * reach, h, h, 2), where each cell comes from in the neighbours at
            -reach ... -1, 1 ... reach; NaN where a window has no such frame.
        joints: float32 (N, F, K, 3): x, y in cells and a weight.
    """

    heatmaps: NDArray[np.float16]
    grids: NDArray[np.float16]
    joints: NDArray[np.float32]

    @property
    def reach(self) -> int:
        """How far apart the frames are at most between which there is flow."""
        return int(self.grids.shape[2]) // 2

    def halved(self) -> SliceWindows:
        """Return the same with cells of twice the size, on which springs are learned faster."""
        n, f, k, side = self.heatmaps.shape[:4]
        half = side // 2
        maps = self.heatmaps.reshape(n, f, k, half, 2, half, 2).mean((4, 6), dtype=np.float32)
        grids = self.grids.reshape(n, f, -1, half, 2, half, 2, 2).mean((4, 6), dtype=np.float32)
        joints = self.joints.copy()
        joints[..., :2] = (joints[..., :2] - 0.5) / 2
        return SliceWindows(maps.astype(np.float16), ((grids - 0.5) / 2).astype(np.float16), joints)

    def draw(
        self, rng: np.random.Generator, count: int, length: int, reach: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return random slices of ``length`` frames: heat-maps, grids and joints, float32."""
        windows = rng.integers(len(self.heatmaps), size=count)
        starts = rng.integers(self.heatmaps.shape[1] - length + 1, size=count)
        middle, picked = self.reach, []
        for values in (self.heatmaps, self.grids, self.joints):
            parts = [values[n, at : at + length] for n, at in zip(windows, starts, strict=True)]
            picked.append(torch.from_numpy(np.stack(parts).astype(np.float32)))
        grids = picked[1][:, :, middle - reach : middle + reach]
        return picked[0], grids, picked[2]

    def save(self, path: Path) -> None:
        """Write all arrays into one .npz file."""
        np.savez(path, heatmaps=self.heatmaps, grids=self.grids, joints=self.joints)

    @classmethod
    def load(cls, path: Path) -> SliceWindows:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing, damaged or of another kind.
        """
        try:
            require_regular(path, LARGEST_WINDOWS)
            with np.load(path, allow_pickle=False) as file:
                require_small(file, LARGEST_WINDOWS)
                return cls(file["heatmaps"], file["grids"], file["joints"])
        except DAMAGED_ARCHIVE as error:
            raise DataError(f"The windows '{path}' cannot be read: {error}.") from error


def collect_windows(
    clips: Iterable[Clip],
    new_look: Callable[[], Look],
    spec: MethodSpec,
    flow: OpticalFlow,
    *,
    frames: int = 12,
    reach: int = 2,
    seed: int = 0,
) -> SliceWindows:
    """Run a network over one window of each clip, cropped around the annotated person.

    Clips that are shorter, or have a frame without annotation in the window, are left out.

    Args:
        clips: annotated clips; frames may be perturbed.
        new_look: called for each window; returns what makes heat-maps of one crop after the other.
        spec: geometry of crop and heat-maps.
        flow: compares neighbouring frames.
        frames: F.
        reach: how far apart frames are compared.
        seed: chooses where each window begins.

    Raises:
        DataError: no clip has a window, or a clip cannot be decoded.
    """
    found: list[tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float32]]] = []
    for index, clip in enumerate(clips):
        if len(clip) < frames:
            continue
        start = int(np.random.default_rng([seed, index]).integers(len(clip) - frames + 1))
        window = _window(clip, start, frames)
        if window is not None:
            found.append(_seen(*window, new_look(), spec, flow, reach))
    if not found:
        raise DataError(f"No clip has {frames} annotated frames in a row; springs need some.")
    return SliceWindows(*(np.stack(values) for values in zip(*found, strict=True)))


def tracked(method: Method, *, every: int | None, age: int = 0) -> Look:
    """Return what makes the heat-maps that a tracker has: those that messages are about later.

    The head runs on the first crop, and then as often as in a tracker.

    Args:
        method: of the model.
        every: after how many frames the head runs again; ``None`` for never.
        age: how many frames before the first crop the head is taken to have run.
    """
    state: Any = None

    def look(crop: Crop, roi: Roi) -> Heatmaps:
        nonlocal state, age
        is_due = state is None or (every is not None and age >= every)
        age = 1 if is_due and state is not None else age + 1
        estimate = method.initialise(crop, roi) if is_due else method.advance(crop, roi, state)
        state = estimate.state
        return estimate.heatmaps

    return look


def downsampled(look: Look, factor: float) -> Look:
    """Return a network that sees crops at a part of their resolution.

    On the clips that it was trained on a network errs less than on new ones, so that springs in
    time learn to hear too little of the neighbours; with worse eyes it errs as it will there.

    Args:
        look: the network.
        factor: part of the resolution, above 0; 1 leaves the network as it is.

    Raises:
        ConfigError: the factor is not from above 0 to 1.
    """
    if not 0 < factor <= 1:
        raise ConfigError(
            f"The part of the resolution must be above 0 and at most 1; got {factor}."
        )
    if factor == 1:
        return look

    def seen(crop: Crop, roi: Roi) -> Heatmaps:
        size = crop.shape[0]
        small = cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return look(np.asarray(cv2.resize(small, (size, size)), np.uint8), roi)

    return seen


def _window(clip: Clip, start: int, count: int) -> tuple[list[Image], list[Roi], Clip, int] | None:
    boxes = [joints_box(clip.keypoints[start + index]) for index in range(count)]
    rois = [box.squared() for box in boxes if box is not None]
    if len(rois) < count:
        return None
    images = [image for index, image in enumerate(clip.frames()) if start <= index < start + count]
    return images, rois, clip, start


def _seen(
    images: Sequence[Image],
    rois: Sequence[Roi],
    clip: Clip,
    start: int,
    look: Look,
    spec: MethodSpec,
    flow: OpticalFlow,
    reach: int,
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float32]]:
    size = spec.input_size
    crops = [spec.view.crop(image, roi) for image, roi in zip(images, rois, strict=True)]
    maps = np.stack([look(crop, roi) for crop, roi in zip(crops, rois, strict=True)])
    truth = convert_keypoints(clip.keypoints, clip.skeleton, spec.skeleton)
    joints = np.nan_to_num(truth[start : start + len(images)])
    for frame, roi in zip(joints, rois, strict=True):
        frame[:, :2] = (frame_to_crop(frame[:, :2], roi, size) - spec.offset) / spec.stride
    outside = ((joints[..., :2] < 0) | (joints[..., :2] > spec.heatmap_size - 1)).any(-1)
    joints[outside, 2] = 0
    grids = np.stack(list(_grids(images, rois, spec, flow, reach)))
    return maps.astype(np.float16), grids.astype(np.float16), joints


def _grids(
    images: Sequence[Image],
    rois: Sequence[Roi],
    spec: MethodSpec,
    flow: OpticalFlow,
    reach: int,
) -> Iterator[NDArray[np.float32]]:
    greys = [np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8) for image in images]
    cells, offsets = spec.heatmap_size, [*range(-reach, 0), *range(1, reach + 1)]
    for frame, roi in enumerate(rois):
        grids = np.full((len(offsets), cells, cells, 2), np.nan, np.float32)
        here = flow_crop(greys[frame], roi)
        for d, offset in enumerate(offsets):
            if 0 <= frame + offset < len(images):
                moved = flow(here, flow_crop(greys[frame + offset], roi))
                grids[d] = sampling_grid(
                    moved, roi, rois[frame + offset], cells, stride=spec.stride, offset=spec.offset
                )
        yield grids
