"""Stills: LSPET and teacher-labelled people with labels in a table, and pictures of nobody."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.labels import absent_keypoints, mask_missing, reconcile, weights_from_scores
from edgepose.datasets.readers.archives import open_archive, read_member
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import load_table
from edgepose.datasets.records import Keypoints, PersonImage
from edgepose.export.files import file_stem
from edgepose.pose_files.reader import read_poses
from edgepose_runtime.errors import BackendUnavailableError, DataError, PoseFileError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import HALPE26, LSP14, Skeleton

#: People of whom the teacher knows fewer limb joints than this are left out. Joints that it is not
#: sure of have no weight: half bodies and covered people are what cameras see.
LEAST_LIMB_JOINTS = 3


def read_lspet(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Read LSPET: crowd-sourced labels reconciled with a teacher network's.

    Args:
        root: the folder with ``images.zip``, ``joints.npz`` and ``rtmpose_s.npz``.
        skeleton: what the joints are converted to.
        on_broken: is given a `DataError` for each broken picture, which is left out.

    Raises:
        DataError: a table or the archive is missing or damaged, or they do not belong together.
    """
    table = load_table(root / "joints.npz", "names", "joints")
    teacher = load_table(root / "rtmpose_s.npz", "keypoints")["keypoints"].astype(np.float32)
    _check_counts(root, table["names"], table["joints"], teacher)
    human = mask_missing(convert_keypoints(table["joints"], LSP14, skeleton))
    second = weights_from_scores(convert_keypoints(teacher, HALPE26, skeleton))
    merged = [reconcile(a, b, skeleton) for a, b in zip(human, second, strict=True)]
    for labels in merged:
        labels[labels[:, 2] == 0] = 0  # where crowd workers left a joint out, it lies anywhere
    yield from _read_zip(root / "images.zip", table["names"].tolist(), merged, on_broken)


def read_people(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Read varied people with a teacher network's labels.

    Args:
        root: the folder with ``images.zip`` and ``labels.npz``.
        skeleton: what the joints are converted to.
        on_broken: is given a `DataError` for each broken picture, which is left out.

    Raises:
        DataError: the table or the archive is missing or damaged, or they do not belong together.
    """
    table = load_table(root / "labels.npz", "names", "keypoints")
    _check_counts(root, table["names"], table["keypoints"])
    raw = convert_keypoints(table["keypoints"].astype(np.float32), HALPE26, skeleton)
    labels = weights_from_scores(raw)
    sure = (labels[:, _limbs(skeleton), 2] > 0).sum(axis=1) >= LEAST_LIMB_JOINTS
    labels = labels[sure]
    yield from _read_zip(root / "images.zip", table["names"][sure].tolist(), labels, on_broken)


def read_pseudo_labels(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Read poses on which two models agree, as ``edgepose export --to pseudo-labels`` writes them.

    Args:
        root: the folder with ``labels.parquet`` and a folder of pictures for each video.
        skeleton: what the joints are converted to.
        on_broken: is given a `DataError` for each pose whose picture is missing, which is left out.

    Raises:
        DataError: the file of labels is missing or damaged.
    """
    try:
        table = read_poses(root / "labels.parquet")
    except (PoseFileError, BackendUnavailableError) as error:
        raise DataError(str(error)) from error
    joints = weights_from_scores(convert_keypoints(table.keypoints, table.skeleton, skeleton))
    stems = [file_stem(name) for name in table.videos]

    def read(row: int) -> PersonImage:
        path = root / stems[table.video[row]] / f"{table.frame[row]:06d}.jpg"
        if not path.is_file():
            raise DataError(f"The picture '{path}' is missing.")
        name = f"person {table.person_id[row]} in '{path}'"
        return PersonImage(name, path, joints[row])

    return read_each(range(len(table)), read, on_broken)


def read_backgrounds(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Read pictures without people, from which a network learns not to invent any.

    Args:
        root: the folder with ``images.zip``: every picture in it.
        skeleton: whose joints are absent.
        on_broken: is given a `DataError` for each broken picture, which is left out.

    Raises:
        DataError: the archive is missing or damaged.
    """
    absent = absent_keypoints(skeleton.num_joints)
    with open_archive(root / "images.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    for still in _read_zip(root / "images.zip", names, [absent] * len(names), on_broken):
        yield replace(still, nobody=True)


def _limbs(skeleton: Skeleton) -> list[int]:
    """The joints that come in pairs."""
    return sorted(joint for pair in skeleton.flip_pairs for joint in pair)


def _check_counts(root: Path, names: NDArray[np.str_], *labels: NDArray[np.float32]) -> None:
    counts = [len(rows) for rows in (names, *labels)]
    if len(set(counts)) > 1:
        raise DataError(
            f"The tables in '{root}' do not belong together: they have {counts} rows of names and "
            "labels."
        )


def _read_zip(
    path: Path, names: list[str], labels: list[Keypoints] | Keypoints, on_broken: OnBroken
) -> Iterator[PersonImage]:
    with open_archive(path) as archive:
        rows = zip(names, labels, strict=True)
        yield from read_each(rows, partial(_read_member, archive, path), on_broken)


def _read_member(archive: zipfile.ZipFile, path: Path, row: tuple[str, Keypoints]) -> PersonImage:
    name, keypoints = row
    picture = read_member(archive, path, name)
    return PersonImage(f"{path.parent.name}/{name}", picture, keypoints)
