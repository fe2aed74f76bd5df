"""Clips made harder: stretches of frames that are blurred, covered or badly lit, always the same.

K-FPN's Table 5 perturbs single frames; here they come in stretches, as hands before a lens and
defocus do. Everything is drawn from the seed and the clip's name, so that every candidate sees the
same pixels.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.boxes import person_boxes
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi

#: Blur in parts of the person's longer side: 6 pixels (K-FPN's is 4) on JHMDB's 120-pixel people.
BLUR_SIGMA = 0.05
#: The same for a lens out of focus all the time, with which one can still see who does what.
DEFOCUS_SIGMA = 0.02
#: Side of what covers the person, in parts of the person's longer side.
COVER_SIDE = 0.45
#: How far from the middle of the box it lies at most, in the same parts.
COVER_SHIFT = 0.3
DARKEST, BRIGHTEST = (0.1, 0.4), (2.0, 5.0)
#: Low light: this part of the day's light falls in, on a sensor that counts so many electrons of
#: white by day and adds a noise of so many. Grey is then a few dozen of them.
LIGHT, ELECTRONS, READ_NOISE = (0.02, 0.08), 2000.0, 3.0
GAMMA = 2.2


@dataclass(frozen=True)
class Perturbation:
    """What happens to which frames.

    Attributes:
        share: of the frames of each clip, from 0 to 1.
        kinds: names of ``KINDS``; every stretch has one of them.
        stretch: frames in a row at most.
        seed: another one gives other stretches.
    """

    share: float
    kinds: tuple[str, ...] = ("blur", "occlusion")
    stretch: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"The share of perturbed frames must be 0 to 1, not {self.share}.")
        if self.stretch < 1:
            raise ConfigError(f"A stretch has at least 1 frame, not {self.stretch}.")
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds:
            raise ConfigError(
                f"Perturbations are {', '.join(KINDS)}; got {', '.join(unknown) or 'none'}."
            )


def perturbed(clip: Clip, perturbation: Perturbation) -> Clip:
    """Return the clip with some of its frames degraded; the annotation stays as it is."""
    effects = frame_effects(clip, perturbation)
    boxes = person_boxes(clip)

    def frames() -> Iterator[Image]:
        for index, image in enumerate(clip.frames()):
            effect = effects.get(index)
            yield image if effect is None else effect(image, boxes[index])

    return replace(clip, frames=frames)


def frame_effects(clip: Clip, perturbation: Perturbation) -> Mapping[int, Effect]:
    """Return what is done to each frame that is perturbed, by its number."""
    rng = np.random.default_rng((perturbation.seed, zlib.crc32(clip.name.encode())))
    effects: dict[int, Effect] = {}
    for stretch in _stretches(len(clip), perturbation, rng):
        kind = perturbation.kinds[int(rng.integers(len(perturbation.kinds)))]
        effect = KINDS[kind](rng)  # one for the stretch: what covers somebody does not jump
        effects.update(dict.fromkeys(stretch, effect))
    return effects


def _stretches(count: int, settings: Perturbation, rng: np.random.Generator) -> list[range]:
    """Return runs of frames that do not touch, as far as there is room between them."""
    degraded = round(settings.share * count)
    lengths = [min(settings.stretch, degraded - at) for at in range(0, degraded, settings.stretch)]
    # The clean frames fall into the gaps before, between and after the stretches.
    clean, inner = count - degraded, max(len(lengths) - 1, 0)
    gaps = np.zeros(len(lengths) + 1, int)
    gaps[1 : 1 + min(clean, inner)] = 1
    gaps += rng.multinomial(clean - int(gaps.sum()), np.full(len(gaps), 1 / len(gaps)))
    starts = np.cumsum(gaps[:-1]) + np.cumsum([0, *lengths[:-1]])[: len(lengths)]
    return [range(at, at + n) for at, n in zip(starts.tolist(), lengths, strict=True)]


Effect = Callable[[Image, Roi], Image]
"""Takes a frame, uint8 (H, W, 3) BGR, and the person's box; returns a new frame."""


def _blur(rng: np.random.Generator, part: float = BLUR_SIGMA) -> Effect:
    strength = rng.uniform(0.7, 1.3)

    def effect(image: Image, box: Roi) -> Image:
        sigma = strength * part * max(box.width, box.height)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)

    return effect


def _cover(rng: np.random.Generator) -> Effect:
    shift, colour = rng.uniform(-COVER_SHIFT, COVER_SHIFT, 2), rng.integers(0, 256, 3)

    def effect(image: Image, box: Roi) -> Image:
        side = max(box.width, box.height)
        middle = np.asarray(box.center) + shift * side
        x, y = np.round(middle - COVER_SIDE * side / 2).astype(int).clip(0)
        end_x, end_y = np.round(middle + COVER_SIDE * side / 2).astype(int).clip(0)
        covered = image.copy()
        covered[y:end_y, x:end_x] = colour
        return covered

    return effect


def _light(rng: np.random.Generator) -> Effect:
    factor = rng.uniform(*(DARKEST if rng.random() < 0.5 else BRIGHTEST))

    def effect(image: Image, box: Roi) -> Image:  # noqa: ARG001 - Effect's signature
        return np.asarray(np.clip(image * factor, 0, 255), np.uint8)

    return effect


def _darkness(rng: np.random.Generator) -> Effect:
    exposure, seed = ELECTRONS * rng.uniform(*LIGHT), int(rng.integers(1 << 32))
    electrons = (exposure * (np.arange(256) / 255) ** GAMMA).astype(np.float32)

    def effect(image: Image, box: Roi) -> Image:  # noqa: ARG001 - Effect's signature
        # Of the picture itself, so that each frame has its own noise, and always the same.
        grain = np.random.default_rng((seed, zlib.crc32(image.tobytes())))
        counted = electrons[image]
        counted += np.sqrt(counted + READ_NOISE**2) * grain.standard_normal(image.shape, np.float32)
        seen = (counted.clip(0) / ELECTRONS) ** (1 / GAMMA)
        return np.asarray((255 * seen).clip(0, 255).round(), np.uint8)

    return effect


KINDS: Mapping[str, Callable[[np.random.Generator], Effect]] = {
    "blur": _blur,
    "defocus": partial(_blur, part=DEFOCUS_SIGMA),
    "occlusion": _cover,
    "illumination": _light,
    "darkness": _darkness,
}
