"""Batches that depend on nothing but a seed and their number.

Batch n is drawn from a generator seeded with (seed, n). A run that is killed and resumed at batch n
therefore sees the very batches it would have seen, whatever the number of workers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from edgepose.datasets import appearance
from edgepose.datasets.augmentation import (
    Augmentation,
    Placement,
    box_of,
    crop_matrix,
    draw_placement,
    half_body,
    square_of,
    warp_image,
    warp_keypoints,
)
from edgepose.datasets.motion import chained, draw_motion, moved
from edgepose.datasets.records import PersonClip, PersonImage
from edgepose_runtime.errors import DataError
from edgepose_runtime.skeletons import Skeleton

logger = logging.getLogger(__name__)
_AT_REST = np.eye(2, 3)
Batch: TypeAlias = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Crop:
    """One network input: uint8 (S, S, 3) BGR, float32 (K, 3) keypoints, float32 (2, 3) matrix."""

    image: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    matrix: NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """A set of images or clips and how often samples are drawn from it."""

    name: str
    share: float
    images: Sequence[PersonImage] = ()
    clips: Sequence[PersonClip] = ()

    def draw_image(self, rng: np.random.Generator) -> PersonImage:
        """One picture; from clips, every clip is as likely as another."""
        if self.images:
            return self.images[rng.integers(len(self.images))]
        clip = self.clips[rng.integers(len(self.clips))]
        return clip.frame(int(rng.integers(len(clip))))


class Sampler:
    """Draws augmented crops of single images or of windows of consecutive frames."""

    def __init__(
        self, sources: Sequence[Source], skeleton: Skeleton, augmentation: Augmentation
    ) -> None:
        if not sources or sum(source.share for source in sources) <= 0:
            raise DataError("Training needs at least one source of data with a positive share.")
        self._sources = list(sources)
        self._shares = np.array([source.share for source in sources], float)
        self._shares /= self._shares.sum()
        self._skeleton, self._settings = skeleton, augmentation

    def image(self, rng: np.random.Generator, size: int) -> Crop:
        """One augmented single image; unreadable and unusable ones are passed over."""
        return self._retry(rng, lambda: self._try_image(rng, size))

    def clip(self, rng: np.random.Generator, size: int, length: int) -> list[Crop]:
        """`length` consecutive frames under one placement and one look; stills move a little.

        Frame t is cropped around the person's box of frame t − 1, as a tracker must.
        """
        return self._retry(rng, lambda: self._try_clip(rng, size, length))

    def _retry(self, rng: np.random.Generator, draw: Callable[[], object]) -> object:
        for _ in range(100):
            try:
                found = draw()
            except DataError as error:
                logger.warning("%s", error)
                continue
            if found is not None:
                return found
        raise DataError("A hundred samples in a row could not be used; check the data.")

    def _source(self, rng: np.random.Generator) -> Source:
        return self._sources[rng.choice(len(self._sources), p=self._shares)]

    def _try_image(self, rng: np.random.Generator, size: int) -> Crop | None:
        record = self._source(rng).draw_image(rng)
        keypoints = record.keypoints
        if rng.random() < self._settings.half_body_probability:
            keypoints = half_body(keypoints, self._skeleton, rng)
        box = box_of(keypoints)
        if box is None:
            return None
        placement = draw_placement(rng, self._settings)
        look = appearance.draw_look(rng, self._settings.photometric)
        image = record.image()
        if rng.random() < self._settings.background_probability:
            return self._background(rng, image, placement, look, size)
        return self._crop(rng, image, record.keypoints, square_of(box), placement, look, size)

    def _try_clip(self, rng: np.random.Generator, size: int, length: int) -> list[Crop] | None:
        window = self._window(rng, length)
        if window is None:
            return None
        placement = draw_placement(rng, self._settings)
        look = appearance.draw_look(rng, self._settings.photometric)
        boxes = [box_of(frame.keypoints) for frame in window]
        box = boxes[0]
        if box is None:
            return None
        crops = []
        for frame, own in zip(window, boxes, strict=True):
            square = square_of(box)
            crops.append(
                self._crop(
                    rng, frame.image, frame.keypoints, square, placement, look, size, frame.motion
                )
            )
            box = box if own is None else own
        return crops

    def _window(self, rng: np.random.Generator, length: int) -> list[_Frame] | None:
        """Consecutive frames of a clip, in either direction, or of a still that moves."""
        source = self._source(rng)
        if source.images:
            return _moving_still(rng, source.draw_image(rng), length)
        clip = source.clips[int(rng.integers(len(source.clips)))]
        stride = 2 if len(clip) >= 2 * length and rng.random() < 0.25 else 1
        span = (length - 1) * stride + 1
        if len(clip) < span:
            return None
        first = int(rng.integers(len(clip) - span + 1))
        records = [clip.frame(first + i * stride) for i in range(length)]
        frames = [_Frame(record.image(), record.keypoints) for record in records]
        return frames[::-1] if rng.random() < 0.5 else frames

    def _crop(
        self,
        rng: np.random.Generator,
        image: NDArray[np.uint8],
        keypoints: NDArray[np.float32],
        square: tuple[NDArray[np.float64], float],
        placement: Placement,
        look: list[appearance.Effect],
        size: int,
        motion: NDArray[np.float64] = _AT_REST,
    ) -> Crop:
        matrix = crop_matrix(*square, placement, size)
        points = warp_keypoints(keypoints, matrix, self._skeleton, placement.flip)
        crop = appearance.apply(look, warp_image(image, chained(motion, matrix), size))
        if rng.random() < self._settings.occlusion_probability:
            crop = appearance.occlude(crop, points, rng)
        return Crop(crop, points, matrix)

    def _background(
        self,
        rng: np.random.Generator,
        image: NDArray[np.uint8],
        placement: Placement,
        look: list[appearance.Effect],
        size: int,
    ) -> Crop:
        """A crop that shows a corner of the picture or a texture, with every joint absent."""
        height, width = image.shape[:2]
        side = 0.2 * min(height, width) * rng.uniform(0.5, 1.0)
        corner = np.array([rng.integers(2) * (width - side), rng.integers(2) * (height - side)])
        matrix = crop_matrix(corner + side / 2, side, placement, size)
        absent = np.full((self._skeleton.num_joints, 3), -1e4, np.float32)
        absent[:, 2] = 1
        return Crop(appearance.apply(look, warp_image(image, matrix, size)), absent, matrix)


@dataclass(frozen=True)
class _Frame:
    """One frame of a window: `motion` maps pixels of `image` to those that keypoints are in."""

    image: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    motion: NDArray[np.float64] = field(default_factory=lambda: _AT_REST)


def _moving_still(rng: np.random.Generator, still: PersonImage, length: int) -> list[_Frame] | None:
    box = box_of(still.keypoints)
    if box is None:
        return None
    image = still.image()
    motions = draw_motion(rng, length, *square_of(box))
    return [_Frame(image, moved(still.keypoints, motion), motion) for motion in motions]


class BatchPlan:
    """Which size and how many samples batch n has."""

    def __init__(self, phases: Sequence[tuple[int, int, int]]) -> None:
        """`phases`: (steps, size, batch) one after the other."""
        self._ends = np.cumsum([steps for steps, _, _ in phases])
        self._phases = list(phases)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, step: int) -> tuple[int, int]:
        """(size, batch) of a step."""
        _, size, batch = self._phases[int(np.searchsorted(self._ends, step, side="right"))]
        return size, batch


class Batches(Dataset[Batch]):
    """Batch n as a dictionary of tensors, for a DataLoader with ``batch_size=None``.

    ``image`` uint8 (B, S, S, 3) BGR, ``keypoints`` float32 (B, K, 3), ``matrix`` float32
    (B, 2, 3); with `length`, each has a time axis after B.
    """

    def __init__(
        self, sampler: Sampler, plan: BatchPlan, seed: int, length: int | None = None
    ) -> None:
        self._sampler, self._plan, self._seed, self._length = sampler, plan, seed, length

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, step: int) -> Batch:
        size, count = self._plan[step]
        rng = np.random.default_rng([self._seed, step])
        if self._length is None:
            return _stack([self._sampler.image(rng, size) for _ in range(count)])
        clips = [self._sampler.clip(rng, size, self._length) for _ in range(count)]
        flat = _stack([crop for clip in clips for crop in clip])
        return {key: value.unflatten(0, (count, self._length)) for key, value in flat.items()}


def _stack(crops: Sequence[Crop]) -> Batch:
    return {
        "image": torch.from_numpy(np.stack([crop.image for crop in crops])),
        "keypoints": torch.from_numpy(np.stack([crop.keypoints for crop in crops])),
        "matrix": torch.from_numpy(np.stack([crop.matrix for crop in crops])).float(),
    }
