"""Readers of the four sets that DATA.md describes: JHMDB clips, LSPET and people stills.

Everything is converted to the skeleton that is asked for. Clips marked ``val``, and every clip cut
from the same film, are never handed out for training.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.labels import (
    mask_missing,
    mask_outside,
    reconcile,
    weights_from_scores,
)
from edgepose.datasets.records import PersonClip, PersonImage, encode_image
from edgepose.datasets.tables import Table, load_table
from edgepose_runtime.errors import DataError
from edgepose_runtime.skeletons import HALPE26, JHMDB15, LSP14, Skeleton, convert_keypoints

OnBroken = Callable[[DataError], None]
GRADE_WEIGHT = {"A": 1.0, "B": 0.7}
LIMB_SCORE = 0.5  # people whose limbs the teacher is less sure of are left out (DATA.md)


def refuse(error: DataError) -> None:
    """The strict answer to a broken file: raise."""
    raise error


def read_lspet(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """LSPET stills; crowd-sourced labels reconciled with the teacher's.

    Args:
        root: the folder with ``images.zip``, ``joints.npz`` and ``rtmpose_s.npz``.
        skeleton: what to convert the joints to.
        on_broken: called with a `DataError` for each broken picture, which is then skipped.
    """
    table = load_table(root / "joints.npz")
    teacher = load_table(root / "rtmpose_s.npz")["keypoints"]
    human = mask_missing(convert_keypoints(table["joints"], LSP14, skeleton))
    second = weights_from_scores(convert_keypoints(teacher.astype(np.float32), HALPE26, skeleton))
    merged = [reconcile(a, b, skeleton) for a, b in zip(human, second, strict=True)]
    yield from _read_zip(root / "images.zip", table["names"], merged, on_broken)


def read_people(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonImage]:
    """Varied people with a teacher's labels (``images.zip`` and ``labels.npz`` in `root`)."""
    table = load_table(root / "labels.npz")
    raw = convert_keypoints(table["keypoints"].astype(np.float32), HALPE26, skeleton)
    good = np.nanmean(raw[:, 1:, 2], axis=1) >= LIMB_SCORE
    labels = weights_from_scores(raw)
    yield from _read_zip(root / "images.zip", table["names"][good], labels[good], on_broken)


def read_jhmdb_clips(
    root: Path, skeleton: Skeleton, *, pseudo: bool = True, on_broken: OnBroken = refuse
) -> Iterator[PersonClip]:
    """Training clips of JHMDB: annotated ones, then with `pseudo` those a teacher labelled.

    No clip of a validation film is among them.
    """
    table = load_table(root / "joints.npz")
    films = {str(film) for film in table["film"][table["val"]]}
    yield from _annotated_clips(root, table, skeleton, on_broken)
    if pseudo:
        yield from _pseudo_clips(root, set(table["clips"].tolist()), films, skeleton, on_broken)


def _annotated_clips(
    root: Path, table: Table, skeleton: Skeleton, on_broken: OnBroken
) -> Iterator[PersonClip]:
    offsets = table["offsets"]
    for i in np.flatnonzero(~table["val"]):
        rows = slice(offsets[i], offsets[i + 1])
        joints = table["joints"][rows]
        weight = np.full((*joints.shape[:2], 1), GRADE_WEIGHT[str(table["grade"][i])], np.float32)
        weight[~table["frame_ok"][rows]] = 0
        labels = convert_keypoints(np.concatenate([joints, weight], -1), JHMDB15, skeleton)
        yield from _clip(root, str(table["clips"][i]), mask_missing(labels), on_broken)


def _pseudo_clips(
    root: Path, known: set[str], films: set[str], skeleton: Skeleton, on_broken: OnBroken
) -> Iterator[PersonClip]:
    table = load_table(root / "rtmpose_s.npz")
    offsets = table["offsets"]
    for i, name in enumerate(table["clips"].tolist()):
        if name in known or any(Path(name).name.startswith(film) for film in films):
            continue
        raw = table["keypoints"][offsets[i] : offsets[i + 1]].astype(np.float32)
        labels = weights_from_scores(convert_keypoints(raw, HALPE26, skeleton))
        yield from _clip(root, name, labels, on_broken)


def _clip(
    root: Path, name: str, labels: NDArray[np.float32], on_broken: OnBroken
) -> Iterator[PersonClip]:
    frames = _decode_video(root / "clips" / name)
    if len(frames) != len(labels):
        on_broken(DataError(f"The clip {name} has {len(frames)} frames but {len(labels)} labels."))
        return
    height, width = frames[0].shape[:2]
    labels = mask_outside(labels, width, height)
    yield PersonClip(name, tuple(encode_image(f) for f in frames), labels)


def _decode_video(path: Path) -> list[NDArray[np.uint8]]:
    video = cv2.VideoCapture(str(path))
    frames = []
    try:
        while True:
            good, frame = video.read()
            if not good:
                return frames
            frames.append(np.asarray(frame, np.uint8))
    finally:
        video.release()


def _read_zip(
    path: Path, names: NDArray, labels: object, on_broken: OnBroken
) -> Iterator[PersonImage]:
    if not path.is_file():
        raise DataError(f"The archive of pictures {path} does not exist.")
    with zipfile.ZipFile(path) as archive:
        for name, keypoints in zip(names.tolist(), labels, strict=True):  # type: ignore[call-overload]
            try:
                data = archive.read(name)
            except (KeyError, zipfile.BadZipFile) as error:
                on_broken(DataError(f"The picture {name} in {path} cannot be read: {error}."))
                continue
            yield PersonImage(f"{path.parent.name}/{name}", data, np.asarray(keypoints, np.float32))
