"""People in everyday photos with human labels: a folder of ``joints.npz`` and ``images.zip``.

Half bodies, people behind things, small and crowded people. For evaluation only: the photos are
from COCO train2017, and no training step may use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip, checked_clip
from edgepose.datasets.readers.archives import open_archive, read_member
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import Table, load_table, numbers
from edgepose.datasets.records import Image, decode_picture
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import COCO17

#: Who is evaluated: people with so many labelled joints, one of them below the face, and a box
#: whose longer side has so many pixels.
LEAST_LABELLED = 6
LEAST_SIDE = 64.0
#: The five joints of the face come first in COCO's order.
_FACE = 5


def read_everyday_clips(root: Path, split: str = "val", on_broken: OnBroken = refuse) -> list[Clip]:
    """Read each person to be evaluated as a clip of one frame, the whole photo.

    The photo's name stands for the film. Hidden joints with a label are scored as visible ones.

    Args:
        root: the folder that holds ``joints.npz`` and ``images.zip``.
        split: "val"; there is no other.
        on_broken: is given a `DataError` for each person whose labels or photo are broken, and
            who is left out.

    Raises:
        DataError: a file is missing or damaged, or the arrays do not belong together.
        ConfigError: there is no such split.
    """
    if split != "val":
        raise ConfigError(f"The everyday people have the split val, but no {split!r}.")
    path = root / "joints.npz"
    table = load_table(path, "names", "boxes", "keypoints")
    labels = _labels(table, path)
    boxes = numbers(table, "boxes", (len(labels), 4), path)
    names = _names(table, len(labels), path)
    pictures = _read_pictures(root / "images.zip", sorted(set(names)))

    def read(index: int) -> Clip:
        clip = _person(index, names[index], boxes[index], labels[index], pictures)
        return checked_clip(clip)

    chosen = [index for index in range(len(names)) if is_evaluated(labels[index], boxes[index])]
    return list(read_each(chosen, read, on_broken))


def is_evaluated(labels: NDArray[np.float32], box: NDArray[np.float32]) -> bool:
    """Return whether a person has enough labels and pixels to be evaluated.

    Args:
        labels: (17, 3) x, y in pixels and 0 for joints without a label; COCO's order.
        box: (4,) x, y, width, height in pixels.
    """
    labelled = labels[:, 2] > 0
    return bool(
        labelled.sum() >= LEAST_LABELLED
        and labelled[_FACE:].any()
        and not max(box[2:]) < LEAST_SIDE  # NaN goes on, to be refused by name
    )


def _labels(table: Table, path: Path) -> NDArray[np.float32]:
    labels = numbers(table, "keypoints", (None, COCO17.num_joints, 3), path)
    if not np.isin(labels[..., 2], (0, 1, 2)).all():
        raise DataError(
            f"The visibility of joints in '{path}' must be 0 (no label), 1 (hidden) or 2 "
            f"(visible); it has other values, such as "
            f"{labels[..., 2][~np.isin(labels[..., 2], (0, 1, 2))][0]}."
        )
    return labels


def _names(table: Table, count: int, path: Path) -> list[str]:
    names = table["names"]
    if names.shape != (count,) or names.dtype.kind != "U":
        raise DataError(
            f"'names' in '{path}' should hold {count} texts, one for each row of 'keypoints'; it "
            f"is {names.dtype} of shape {names.shape}."
        )
    return [str(name) for name in names]


def _read_pictures(path: Path, names: list[str]) -> dict[str, bytes | DataError]:
    """Return each photo encoded, or what is wrong with it: it concerns the people in it alone."""
    found: dict[str, bytes | DataError] = {}
    with open_archive(path) as archive:
        for name in names:
            try:
                found[name] = read_member(archive, path, name)
            except DataError as error:
                found[name] = error
    return found


def _person(
    index: int,
    name: str,
    box: NDArray[np.float32],
    labels: NDArray[np.float32],
    pictures: dict[str, bytes | DataError],
) -> Clip:
    picture = pictures[name]
    if isinstance(picture, DataError):
        raise picture
    person = f"{name}#{index}"
    if not (np.isfinite(box).all() and (box[2:] > 0).all()):
        raise DataError(
            f"The box (x, y, width, height) of {person} is {box.tolist()}; it must be finite and "
            "have an area."
        )
    scored = np.column_stack([labels[:, :2], labels[:, 2] > 0]).astype(np.float32)
    # The first pixel a box covers reaches from -0.5 to 0.5, as in `Roi`.
    corners = np.concatenate([box[:2], box[:2] + box[2:]]) - np.float32(0.5)
    return Clip(
        name=person,
        film=name,
        frames=partial(_frames, picture, name),
        keypoints=scored[None],
        boxes=corners[None],
        skeleton=COCO17,
        fps=1.0,
        split="val",
    )


def _frames(picture: bytes, name: str) -> Iterator[Image]:
    yield decode_picture(picture, name)
