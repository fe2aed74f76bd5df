"""People with joints in the format of COCO: a JSON file of annotations and a folder of pictures.

The file is the only ``*.json``, or the only ``person_keypoints*.json``, in the set's folder and its
folder ``annotations/``. Names of pictures are relative to ``images/`` or to the set's folder; where
the file is named ``person_keypoints_NAME.json``, to ``images/NAME/`` or ``NAME/`` as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.labels import mask_missing
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import LARGEST_TABLE
from edgepose.datasets.records import Keypoints, PersonImage
from edgepose_runtime.errors import DataError
from edgepose_runtime.files import exists, read_json, shown
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, Skeleton

Row = Mapping[str, Any]

_PREFIX = "person_keypoints"
_VISIBILITIES = (0, 1, 2)
_TOO_LARGE = 1e30


def read_coco(
    root: Path, skeleton: Skeleton, *, occluded: bool = True, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Read everybody with a labelled joint, except those annotated as a crowd.

    Args:
        root: the folder that holds the annotation file and the pictures.
        skeleton: what the joints are converted to.
        occluded: weigh joints that are labelled as hidden (visibility 1), too.
        on_broken: is given a `DataError` for each person whose picture is missing or whose
            annotation is broken, who is left out.

    Raises:
        DataError: there is no annotation file, or more than one, or it is damaged.
    """
    path = _annotation_file(root)
    content = _content(path)
    names = _image_names(content, path)
    _require_order(content, path)
    folders = _picture_folders(root, path)

    def read(numbered: tuple[int, Row]) -> PersonImage:
        index, annotation = numbered
        name = f"annotation {annotation.get('id', f'number {index}')} of '{path}'"
        labels = _labels(annotation, occluded, name)
        picture = _picture(annotation.get("image_id"), names, folders, name)
        converted = mask_missing(convert_keypoints(labels, COCO17, skeleton))
        return PersonImage(name, picture, converted, _box(annotation, name))

    return read_each(
        filter(_is_labelled, enumerate(_rows(content, "annotations", path))), read, on_broken
    )


def _annotation_file(root: Path) -> Path:
    try:
        # macOS leaves files such as ._a.json on foreign disks: they hold no JSON.
        found = sorted([*root.glob("[!.]*.json"), *root.glob("annotations/[!.]*.json")])
    except OSError as error:
        raise DataError(f"The folder '{root}' cannot be read: {error}.") from error
    chosen = [path for path in found if path.name.startswith(_PREFIX)] or found
    if len(chosen) != 1:
        names = ", ".join(str(path.relative_to(root)) for path in chosen) or "none"
        raise DataError(
            f"A set of kind coco needs one annotation file (*.json) in '{root}' or its folder "
            f"'annotations', or one named {_PREFIX}*.json among others; found {names}."
        )
    return chosen[0]


def _content(path: Path) -> Row:
    try:
        content = read_json(path, LARGEST_TABLE)
    except (OSError, ValueError) as error:
        raise DataError(f"The annotation file '{path}' cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(
            f"'{path}' should hold an object with 'images' and 'annotations', as COCO's files do; "
            f"it holds a {type(content).__name__}."
        )
    return content


def _rows(content: Row, key: str, path: Path) -> list[Row]:
    rows = content.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"'{key}' in '{path}' should be a list of objects, as in COCO's files.")
    return rows


def _image_names(content: Row, path: Path) -> dict[int, str]:
    """Return the file name of each picture by its id."""
    names: dict[int, str] = {}
    for row in _rows(content, "images", path):
        number, name = row.get("id"), row.get("file_name")
        if not isinstance(number, int) or not isinstance(name, str):
            raise DataError(
                f"Each of 'images' in '{path}' needs an 'id', a whole number, and a 'file_name', "
                f"a text; got {number!r} and {name!r}."
            )
        names[number] = name
    return names


def _require_order(content: Row, path: Path) -> None:
    """Refuse categories whose joints are not COCO's in COCO's order, if they are named."""
    for category in _rows(content, "categories", path) if "categories" in content else ():
        joints = category.get("keypoints")
        if joints and joints != list(COCO17.joints):
            raise DataError(
                f"The joints of category {category.get('name')!r} in '{path}' must be the "
                f"{COCO17.num_joints} of COCO in this order: {', '.join(COCO17.joints)}; got "
                f"{shown(str(joints))}. Convert the annotation to COCO's joints."
            )


def _picture_folders(root: Path, path: Path) -> list[Path]:
    """Return the folders in which a picture is looked for, in this order."""
    folders = [root / "images", root]
    if path.stem.startswith(f"{_PREFIX}_"):
        subset = path.stem.removeprefix(f"{_PREFIX}_")
        folders += [root / "images" / subset, root / subset]
    return folders


def _is_labelled(numbered: tuple[int, Row]) -> bool:
    """Return whether somebody has labelled joints and is no crowd; broken labels are kept."""
    _, annotation = numbered
    keypoints = annotation.get("keypoints")
    if annotation.get("iscrowd") or not keypoints:
        return False
    return not isinstance(keypoints, list) or any(mark != 0 for mark in keypoints[2::3])


def _labels(annotation: Row, occluded: bool, name: str) -> Keypoints:
    """Return joints (17, 3): x, y in pixels and a weight of 0 or 1; NaN where there is no label."""
    values = _numbers(annotation["keypoints"], "keypoints", COCO17.num_joints * 3, name)
    labels = values.reshape(-1, 3)
    marks = labels[:, 2].copy()
    if not np.isin(marks, _VISIBILITIES).all():
        raise DataError(
            f"The visibility of each joint of {name} must be 0 (no label), 1 (hidden) or 2 "
            f"(visible); got {marks.tolist()}."
        )
    labels[:, 2] = marks > 0 if occluded else marks == 2
    labels[marks == 0] = np.nan
    return labels


def _picture(number: object, names: Mapping[int, str], folders: list[Path], name: str) -> Path:
    if not isinstance(number, int) or number not in names:
        raise DataError(f"{name} is of the image {number!r}, which is not among its 'images'.")
    file = names[number]
    pure = PureWindowsPath(file)  # knows the separators and absolute paths of all systems
    if pure.anchor or ".." in pure.parts:
        raise DataError(
            f"The picture '{shown(file)}' of {name} must lie within the folder of the set: give a "
            "relative path without '..'."
        )
    for folder in folders:
        if exists(folder / file) and (folder / file).is_file():
            return folder / file
    places = ", ".join(f"'{folder}'" for folder in folders)
    raise DataError(f"The picture '{shown(file)}' of {name} is missing; looked in {places}.")


def _box(annotation: Row, name: str) -> NDArray[np.float32] | None:
    """Return the corners (4,) in pixels, or None if there is no box or one without an area."""
    if not annotation.get("bbox"):
        return None
    box = _numbers(annotation["bbox"], "bbox", 4, name)
    if not (box[2:] > 0).all():
        return None
    # The first pixel a box covers reaches from -0.5 to 0.5, as in `Roi`.
    return np.concatenate([box[:2], box[:2] + box[2:]]) - np.float32(0.5)


def _numbers(values: Any, key: str, count: int, name: str) -> NDArray[np.float32]:
    """Return so many finite numbers (count,)."""
    good = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not good or len(values) != count:
        given = f"{len(values)} values" if isinstance(values, list) else type(values).__name__
        raise DataError(f"'{key}' of {name} must be a list of {count} numbers; got {given}.")
    if not all(abs(value) < _TOO_LARGE for value in values):  # infinite, NaN or beyond float32
        raise DataError(f"'{key}' of {name} must hold finite numbers; got {values}.")
    return np.array(values, np.float32)
