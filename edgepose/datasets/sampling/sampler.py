"""Random crops of the people in several sources, every choice from one random generator."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.boxes import joints_box
from edgepose.datasets.labels import absent_keypoints, half_body, present
from edgepose.datasets.records import Image, Keypoints, PersonClip, PersonImage
from edgepose.datasets.sampling import appearance
from edgepose.datasets.sampling.augmentation import (
    Augmentation,
    Placement,
    crop_squares,
    draw_placement,
)
from edgepose.datasets.sampling.synthetic_motion import chained
from edgepose.datasets.sampling.warping import crop_matrix, warp_image, warp_keypoints
from edgepose.datasets.sampling.windows import (
    Frame,
    animate_still,
    clip_window,
    cut_frame,
    fill_missing_boxes,
    open_frame,
)
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.geometry.crop import BACKGROUND
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton

logger = logging.getLogger(__name__)
Drawn = TypeVar("Drawn")

MOST_ATTEMPTS = 100


@dataclass(frozen=True)
class Crop:
    """One network input.

    Attributes:
        image: uint8 (S, S, 3) BGR.
        keypoints: float32 (K, 3) x, y in pixels of the crop and a weight, 0 for unknown joints.
        matrix: float64 (2, 3) from picture pixels to crop pixels.
    """

    image: Image
    keypoints: Keypoints
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
            return self.images[int(rng.integers(len(self.images)))]
        clip = self.draw_clip(rng)
        return clip.frame(int(rng.integers(len(clip))))

    def draw_clip(self, rng: np.random.Generator) -> PersonClip:
        """One clip."""
        return self.clips[int(rng.integers(len(self.clips)))]


class Sampler:
    """Draws augmented crops of single images or of windows of consecutive frames.

    Args:
        sources: the sets to draw from.
        skeleton: the joints of the crops.
        augmentation: how crops are drawn.
        view: what the square crops show of a region; None for all of it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        skeleton: Skeleton,
        augmentation: Augmentation,
        view: InputView | None = None,
    ) -> None:
        if not sources or sum(source.share for source in sources) <= 0:
            raise DataError("Training needs at least one source of data with a positive share.")
        self._sources = list(sources)
        self._shares = np.array([source.share for source in sources], float)
        self._shares /= self._shares.sum()
        self._skeleton, self._settings = skeleton, augmentation
        self._enlarged = 1.0 if view is None else view.window[1]
        self._background = BACKGROUND if view is None else view.background
        self._named: set[str] = set()

    def require_clips(self, length: int) -> None:
        """Check that every source has stills, or clips of at least `length` frames.

        Raises:
            ConfigError: one has only shorter clips.
        """
        for source in self._sources:
            if source.images:
                continue
            longest = max((len(clip) for clip in source.clips), default=0)
            if longest < length:
                raise ConfigError(
                    f"Sequences of {length} frames cannot be drawn from the source {source.name}: "
                    f"its longest clip has {longest}. Take it out of the recipe's sources."
                )

    def image(self, rng: np.random.Generator, size: int) -> Crop:
        """One augmented single image; unreadable and unusable ones are passed over.

        Raises:
            DataError: nothing usable was found.
        """
        return self._draw(lambda: self._try_image(rng, size))

    def clip(self, rng: np.random.Generator, size: int, length: int) -> list[Crop]:
        """`length` consecutive frames under one placement and one look; stills move a little.

        Raises:
            DataError: nothing usable was found.
        """
        return self._draw(lambda: self._try_clip(rng, size, length))

    def _draw(self, attempt: Callable[[], Drawn | None]) -> Drawn:
        for _ in range(MOST_ATTEMPTS):
            try:
                drawn = attempt()
            except DataError as error:
                self._name(error)
            else:
                if drawn is not None:
                    return drawn
        raise DataError(
            f"{MOST_ATTEMPTS} samples in a row could not be used: their pictures cannot be read, "
            "or nobody is annotated in them. Check the data."
        )

    def _name(self, error: DataError) -> None:
        """Name something broken in the log, once."""
        if str(error) not in self._named:
            self._named.add(str(error))
            logger.warning("Passed over: %s", error)

    def _source(self, rng: np.random.Generator) -> Source:
        return self._sources[int(rng.choice(len(self._sources), p=self._shares))]

    def _try_image(self, rng: np.random.Generator, size: int) -> Crop | None:
        settings = self._settings
        record = self._source(rng).draw_image(rng)
        frame = open_frame(record, self._skeleton if settings.absent_outside else None)
        if _happens(rng, settings.cut_probability) and not record.nobody:
            frame = cut_frame(rng, frame, self._skeleton)
        box = _part(frame.image, rng) if record.nobody else frame.box
        if rng.random() < settings.half_body_probability:
            box = joints_box(half_body(present(frame.keypoints), self._skeleton, rng)) or box
        placement = draw_placement(rng, settings)
        look = appearance.draw_appearance(rng, settings.photometric)
        if rng.random() < settings.background_probability:
            frame = replace(frame, keypoints=absent_keypoints(len(frame.keypoints)))
            corner = _empty_corner(frame.image, rng)
            (square,) = crop_squares([corner], placement, size, enlarged=self._enlarged)
        elif box is not None and frame.keypoints[:, 2].any():
            (square,) = self._squares([box], placement, size)
        else:
            return None
        beside = self._neighbour(rng) if _happens(rng, settings.neighbour_probability) else None
        return self._crop(rng, frame, square, placement, look, size, beside)

    def _neighbour(self, rng: np.random.Generator) -> Image:
        """Some picture, to stand beside another."""
        return self._source(rng).draw_image(rng).image()

    def _try_clip(self, rng: np.random.Generator, size: int, length: int) -> list[Crop] | None:
        settings, source = self._settings, self._source(rng)
        if source.images:
            frames = animate_still(rng, source.draw_image(rng), length)
        else:
            frames = clip_window(rng, source.draw_clip(rng), length, settings)
        boxes = fill_missing_boxes(frames) if frames else None
        if not frames or not boxes or not any(frame.keypoints[:, 2].any() for frame in frames):
            return None
        placement = draw_placement(rng, settings)
        look = appearance.draw_appearance(rng, settings.photometric)
        squares = self._squares(boxes, placement, size)
        if settings.follow:
            squares = [squares[0], *squares[:-1]]
        return [
            self._crop(rng, frame, square, placement, look, size)
            for frame, square in zip(frames, squares, strict=True)
        ]

    def _squares(self, boxes: Sequence[Roi], placement: Placement, size: int) -> list[Roi]:
        convention = self._settings.convention
        return crop_squares(boxes, placement, size, convention, enlarged=self._enlarged)

    def _crop(
        self,
        rng: np.random.Generator,
        frame: Frame,
        square: Roi,
        placement: Placement,
        look: list[appearance.Effect],
        size: int,
        beside: Image | None = None,
    ) -> Crop:
        matrix = crop_matrix(square, placement, size)
        points = warp_keypoints(frame.keypoints, matrix, self._skeleton, placement.flip)
        canvas = None if beside is None else _canvas(beside, size, rng)
        motion = chained(frame.motion, matrix)
        crop = warp_image(frame.image, motion, size, canvas, self._background)
        crop = appearance.apply(look, crop)
        if rng.random() < self._settings.occlusion_probability:
            crop = appearance.occlude(crop, points, rng)
        return Crop(crop, points, matrix)


def _happens(rng: np.random.Generator, probability: float) -> bool:
    """Draw a yes or no; what never happens draws nothing, so older recipes see what they saw."""
    return probability > 0 and rng.random() < probability


def _canvas(image: Image, size: int, rng: np.random.Generator) -> Image:
    """A part of a picture, size × size, seen at about the scale of a person in a crop."""
    part = _part(image, rng)
    return warp_image(
        image, crop_matrix(part, Placement(flip=bool(rng.random() < 0.5)), size), size
    )


def _part(image: Image, rng: np.random.Generator) -> Roi:
    """A square anywhere in a picture, a third of its shorter side or more."""
    height, width = image.shape[:2]
    side = float(min(height, width) * rng.uniform(0.33, 1.0))
    return Roi(rng.uniform(0, width - side), rng.uniform(0, height - side), side, side)


def _empty_corner(image: Image, rng: np.random.Generator) -> Roi:
    """A small square in a corner of a picture: a texture with nobody in it, mostly."""
    height, width = image.shape[:2]
    side = 0.16 * min(height, width) * rng.uniform(0.5, 1.0)
    x, y = rng.integers(2) * (width - side), rng.integers(2) * (height - side)
    return Roi(float(x), float(y), side, side)
