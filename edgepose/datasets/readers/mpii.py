"""MPII Human Pose, as published: ``mpii_human_pose_v1_u12_1.mat`` and ``images/``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.labels import mask_missing
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import load_matlab
from edgepose.datasets.records import Keypoints, PersonImage
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import MPII16, Skeleton

ANNOTATION = "mpii_human_pose_v1_u12_1.mat"
_FOLDERS = ("", "annot", "mpii_human_pose_v1_u12_2")
#: The height of a person whose ``scale`` is 1, in pixels.
SCALE_HEIGHT = 200.0
#: The annotated middle of a person is moved down by this times the scale, as all users of it do:
#: it lies high on the trunk.
CENTER_SHIFT = 15.0


def read_mpii(
    root: Path, skeleton: Skeleton, *, occluded: bool = True, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Read the annotated people of the training part; the test part has no joints.

    Args:
        root: the folder that holds ``images/`` and the annotation file, or the folder of the
            published archive with it.
        skeleton: what the joints are converted to.
        occluded: weigh joints that are marked as not visible, too.
        on_broken: is given a `DataError` for each person whose picture is missing or whose
            annotation is broken, who is left out.

    Raises:
        DataError: the annotation is missing or damaged.
    """
    path = _annotation_file(root)
    release = load_matlab(path, "RELEASE", squeeze=True)["RELEASE"]
    people = _people(release, path)

    def read(person: tuple[str, int, Any]) -> PersonImage:
        image, number, annotation = person
        name = f"person {number} of {image}"
        picture = root / "images" / image
        if not picture.is_file():
            raise DataError(f"The picture '{picture}' of MPII is missing.")
        joints = _joints(annotation, occluded, name)
        labels = mask_missing(convert_keypoints(joints, MPII16, skeleton))
        return PersonImage(name, picture, labels, _box(annotation, name))

    return read_each(people, read, on_broken)


def _annotation_file(root: Path) -> Path:
    for folder in _FOLDERS:
        if (root / folder / ANNOTATION).is_file():
            return root / folder / ANNOTATION
    raise DataError(f"There is no '{ANNOTATION}' in '{root}' or its folder '{_FOLDERS[-1]}'.")


def _people(release: Any, path: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield (image, number, annotation) of everybody in the training part who has joints."""
    try:
        images, training = _listed(release.annolist), _listed(release.img_train)
        for image, is_training in zip(images, training, strict=True):
            for number, person in enumerate(_listed(image.annorect)):
                if is_training and _has_joints(person):
                    yield str(image.image.name), number, person
    except (AttributeError, ValueError) as error:
        raise DataError(f"'{path}' is not the annotation of MPII: {error}.") from error


def _has_joints(person: Any) -> bool:
    """Whether somebody is annotated with joints, and not just with a rectangle around the head."""
    fields = ("annopoints", "objpos", "scale")
    return all(len(_listed(getattr(person, field, ()))) for field in fields)


def _listed(value: Any) -> NDArray[Any]:
    """What MATLAB keeps as a list, of one or no element too."""
    return np.atleast_1d(value)


def _joints(person: Any, occluded: bool, name: str) -> Keypoints:
    """Joints (16, 3) in pixels, which MATLAB counts from 1; NaN where there is none."""
    joints = np.full((MPII16.num_joints, 3), np.nan, np.float32)
    try:
        for point in _listed(person.annopoints.point):
            joints[int(point.id)] = point.x - 1, point.y - 1, occluded or _is_visible(point)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"The joints of {name} in MPII are broken: {error}.") from error
    return joints


def _is_visible(point: Any) -> bool:
    """Whether a joint is marked as visible, in text or as a number; some joints have no mark."""
    mark = _listed(getattr(point, "is_visible", ()))
    return not len(mark) or bool(float(mark[0]))


def _box(person: Any, name: str) -> NDArray[np.float32]:
    """The square as high as the person, which 1.25 times enlarged gives the published crop."""
    try:
        scale = float(person.scale)
        x, y = float(person.objpos.x) - 1, float(person.objpos.y) - 1 + CENTER_SHIFT * scale
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"The place of {name} in MPII is broken: {error}.") from error
    half = SCALE_HEIGHT * scale / 2
    return np.array([x - half, y - half, x + half, y + half], np.float32)
