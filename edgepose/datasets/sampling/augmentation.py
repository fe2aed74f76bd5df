"""How training crops are drawn: which square of the picture, turned and mirrored how.

One placement is drawn for a clip and used for all of its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import PERSON_CROP_FACTOR, Roi

#: Less than this, in pixels, is no person that could be learned from.
LEAST_BOX_SIDE = 8.0
#: Room around a person who is too large for a crop of the ``image`` convention.
IMAGE_CROP_FACTOR = 1.1


@dataclass(frozen=True)
class Augmentation:
    """How wild the crops are; probabilities in [0, 1]. The defaults are those of DKD and PPN.

    Attributes:
        convention: ``person``: a square of 1.25 times the person's box, however large that is
            (HRNet, PPN). ``image``: a square of the crop's own size in the picture as it is,
            larger only where the person would not fit (LSTM-PM, DKD, Thin-Slicing).
        scale: range of the factor on the square's side (``person``) or on the picture (``image``).
        wide_probability, wide_scale: now and then a far wider crop, as when a tracker looks for
            a person in the whole frame.
        rotation_degrees: uniform in ± this.
        shift: standard deviation of the crop's centre, as a share of its side.
        flip_probability: mirror image with left and right exchanged.
        half_body_probability: crop around head and shoulders, the upper or the lower body only
            (stills).
        cut_probability: let the picture end within the person, as where a camera's view ends
            (stills).
        neighbour_probability: show another picture, with another person as a rule, where the crop
            reaches beyond this one (stills).
        absent_outside: joints outside the picture are to have empty maps, also where the crop
            reaches beyond the picture; False leaves them out.
        background_probability: a crop with nobody in it, all targets empty (stills).
        photometric: strength in [0, 1] of colour, light, blur, compression and resolution loss.
        occlusion_probability: paint a patch over a part of the body.
        follow: crop each frame of a clip around the box of the frame before, as a tracker has to;
            published recipes crop it around its own box.
        skip_probability: take every other frame of a clip.
        reverse_probability: run a clip backwards.
    """

    convention: Literal["person", "image"] = "person"
    scale: tuple[float, float] = (0.8, 1.4)
    wide_probability: float = 0.0
    wide_scale: tuple[float, float] = (1.4, 2.6)
    rotation_degrees: float = 40.0
    shift: float = 0.0
    flip_probability: float = 0.5
    half_body_probability: float = 0.0
    cut_probability: float = 0.0
    neighbour_probability: float = 0.0
    absent_outside: bool = False
    background_probability: float = 0.0
    photometric: float = 0.0
    occlusion_probability: float = 0.0
    follow: bool = True
    skip_probability: float = 0.25
    reverse_probability: float = 0.5

    def __post_init__(self) -> None:
        if self.convention not in ("person", "image"):
            raise ConfigError(
                f"There is no crop convention {self.convention!r}; choose person or image."
            )
        for field in fields(self):
            value = getattr(self, field.name)
            is_share = field.name.endswith("_probability") or field.name == "photometric"
            if is_share and not 0 <= value <= 1:
                raise ConfigError(f"The option {field.name} must lie in [0, 1]; got {value}.")
            if field.name in ("rotation_degrees", "shift") and value < 0:
                raise ConfigError(f"The option {field.name} must be at least 0; got {value}.")
            if field.name.endswith("scale") and not _is_range(value):
                raise ConfigError(
                    f"The option {field.name} must be two rising positive numbers; got {value}."
                )

    @classmethod
    def none(cls) -> Augmentation:
        """The plain evaluation crop."""
        return cls(
            scale=(1.0, 1.0),
            rotation_degrees=0.0,
            flip_probability=0.0,
            follow=False,
            skip_probability=0.0,
            reverse_probability=0.0,
        )


@dataclass(frozen=True)
class Placement:
    """One drawn geometric transform, shared by the frames of a clip.

    Attributes:
        scale: as `Augmentation.scale`.
        angle: in degrees, clockwise on screen.
        shift: of the centre, (x, y) as a share of the square's side.
        flip: whether the crop is mirrored, after all else.
    """

    scale: float = 1.0
    angle: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False


def _is_range(value: Sequence[float]) -> bool:
    return len(value) == 2 and 0 < value[0] <= value[1]


def draw_placement(rng: np.random.Generator, settings: Augmentation) -> Placement:
    """Draw scale, rotation and mirroring (uniform) and shift (normal)."""
    wide = rng.random() < settings.wide_probability
    scale = rng.uniform(*(settings.wide_scale if wide else settings.scale))
    angle = rng.uniform(-settings.rotation_degrees, settings.rotation_degrees)
    shift = rng.normal(0, settings.shift, 2)
    flip = rng.random() < settings.flip_probability
    return Placement(float(scale), float(angle), (float(shift[0]), float(shift[1])), bool(flip))


def crop_squares(
    boxes: Sequence[Roi],
    placement: Placement,
    size: int,
    convention: str = "person",
    *,
    enlarged: float = 1.0,
) -> list[Roi]:
    """Return the square of the picture, still upright, that each frame's crop shows.

    Args:
        boxes: the person's box in each frame, in pixels.
        placement: gives scale and shift, and by its angle how much room the box takes.
        size: the crop's side in pixels.
        convention: ``person`` or ``image``, as `Augmentation.convention`.
        enlarged: side of a ``person``'s square in parts of the region that a tracker would take.
    """
    if convention == "person":
        factor = enlarged * PERSON_CROP_FACTOR * placement.scale
        sides = [factor * _longer_side(box) for box in boxes]
    else:
        sides = [_image_side(boxes, placement, size)] * len(boxes)
    return [
        Roi.around(
            (box.center[0] + placement.shift[0] * side, box.center[1] + placement.shift[1] * side),
            side,
        )
        for box, side in zip(boxes, sides, strict=True)
    ]


def _longer_side(box: Roi) -> float:
    return max(box.width, box.height, LEAST_BOX_SIDE)


def _image_side(boxes: Sequence[Roi], placement: Placement, size: int) -> float:
    """One side for the whole clip: the crop's own, or what the largest turned box needs."""
    cos, sin = abs(np.cos(np.deg2rad(placement.angle))), abs(np.sin(np.deg2rad(placement.angle)))
    largest = max(
        max(box.width * cos + box.height * sin, box.width * sin + box.height * cos) for box in boxes
    )
    side = size / placement.scale
    return float(side if largest <= side else IMAGE_CROP_FACTOR * largest)
