"""JHMDB clips with recovered annotation: a folder of ``joints.npz``, ``rtmpose_s.npz``, ``clips/``.

Films that validation uses are never trained on: neither their annotated clips nor those that only
a teacher network has labelled. JHMDB as published is read by
:mod:`edgepose.datasets.readers.published_jhmdb`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip, checked_clip, person_clip
from edgepose.datasets.frames import VideoFile, decode_frames, frame_rate
from edgepose.datasets.labels import weights_from_scores
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import Table, load_table
from edgepose.datasets.records import PersonClip, encode_picture
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import HALPE26, JHMDB15, Skeleton

SIZE = (320, 240)
SPLITS = ("val", "selection", "final", "train")
"""Validation is also there in two parts: films to choose by, and films for final figures alone."""

FINAL_FILMS = Path(__file__).parent.parent / "splits" / "jhmdb-final.txt"
"""The validation films on which no choice is made."""


def read_jhmdb_clips(
    root: Path, split: str = "val", grade: str | None = None, on_broken: OnBroken = refuse
) -> list[Clip]:
    """Read the JHMDB clips with human annotation.

    Frames whose annotation is not to be trusted and joints outside the image are not scored.

    Args:
        root: the folder that holds ``joints.npz`` and ``clips/``.
        split: "val" (films that training never sees), of these "selection" (choices are made on
            them) or "final" (none is), or "train".
        grade: "A" or "B" to keep only those.
        on_broken: is given a `DataError` for each broken clip, which is left out.

    Raises:
        DataError: a file is missing or damaged.
        ConfigError: there is no such split.
    """
    if split not in SPLITS:
        raise ConfigError(f"The JHMDB clips have the splits {', '.join(SPLITS)}, not {split!r}.")
    table = _annotation(root)
    chosen = _in_split(table, split)
    if grade is not None:
        chosen &= table["grade"] == grade

    def read(index: int) -> Clip:
        return checked_clip(_clip(root, table, index, split))

    return list(read_each(np.flatnonzero(chosen).tolist(), read, on_broken))


def final_films() -> tuple[str, ...]:
    """Return the names of the validation films on which no choice is made."""
    lines = FINAL_FILMS.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def read_jhmdb_people(
    root: Path, skeleton: Skeleton, on_broken: OnBroken = refuse
) -> Iterator[PersonClip]:
    """Read all that may be trained on: annotated clips, then those a teacher network labelled.

    Args:
        root: the folder that holds ``joints.npz``, ``rtmpose_s.npz`` and ``clips/``.
        skeleton: what the joints are converted to.
        on_broken: is given a `DataError` for each broken clip, which is left out.

    Raises:
        DataError: a table is missing or damaged.
    """
    annotated = read_jhmdb_clips(root, "train", on_broken=on_broken)
    yield from read_each(annotated, lambda clip: person_clip(clip, skeleton), on_broken)
    teacher = load_table(root / "rtmpose_s.npz", "clips", "offsets", "keypoints")
    unknown = _without_annotation(teacher["clips"], _annotation(root))
    yield from read_each(
        unknown, lambda index: _labelled_clip(root, teacher, index, skeleton), on_broken
    )


def read_jhmdb_videos(root: Path) -> dict[str, VideoFile]:
    """Return all clips that may be trained on, annotated or not, as videos by their name.

    Args:
        root: the folder that holds ``joints.npz``, ``rtmpose_s.npz`` and ``clips/``.

    Raises:
        DataError: a table is missing or damaged.
    """
    annotation, teacher = _annotation(root), load_table(root / "rtmpose_s.npz", "clips", "offsets")
    unknown = _without_annotation(teacher["clips"], annotation)
    chosen = [(annotation, index) for index in np.flatnonzero(~annotation["val"]).tolist()]
    chosen += [(teacher, index) for index in unknown]
    return {
        str(table["clips"][index]): VideoFile(
            root / "clips" / str(table["clips"][index]), int(np.diff(table["offsets"])[index])
        )
        for table, index in chosen
    }


def _annotation(root: Path) -> Table:
    return load_table(
        root / "joints.npz",
        *("clips", "offsets", "joints", "frame_ok", "grade", "film", "val", "full_body"),
    )


def _in_split(table: Table, split: str) -> NDArray[np.bool_]:
    """Which clips belong to a split."""
    val = np.asarray(table["val"], bool)
    if split in ("val", "train"):
        return val if split == "val" else ~val
    final = np.isin(table["film"], final_films())
    return val & (final if split == "final" else ~final)


def _clip(root: Path, table: Table, index: int, split: str) -> Clip:
    name = str(table["clips"][index])
    rows = slice(*table["offsets"][index : index + 2])
    joints = table["joints"][rows]
    path = root / "clips" / name
    scored = ~_outside(joints, SIZE) & table["frame_ok"][rows, None]
    return Clip(
        name=name,
        film=str(table["film"][index]),
        frames=VideoFile(path, len(joints)),
        keypoints=np.concatenate([joints, scored[..., None]], axis=-1, dtype=np.float32),
        boxes=None,
        skeleton=JHMDB15,
        fps=frame_rate(path),
        split=split,
        grade=str(table["grade"][index]),
        full_body=bool(table["full_body"][index]),
    )


def _outside(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie outside the image; not those that are NaN."""
    return np.asarray(((points < -0.5) | (points >= np.asarray(size) - 0.5)).any(axis=-1))


def _without_annotation(clips: NDArray[np.str_], annotation: Table) -> list[int]:
    """Indices of the clips that are not annotated and not from a validation film.

    A clip's file is named after its film.
    """
    known = set(annotation["clips"].tolist())
    films = tuple(annotation["film"][annotation["val"]].tolist())
    return [
        index
        for index, name in enumerate(clips.tolist())
        if name not in known and not Path(name).name.startswith(films)
    ]


def _labelled_clip(root: Path, table: Table, index: int, skeleton: Skeleton) -> PersonClip:
    name = str(table["clips"][index])
    rows = slice(*table["offsets"][index : index + 2])
    raw = table["keypoints"][rows].astype(np.float32)
    labels = weights_from_scores(convert_keypoints(raw, HALPE26, skeleton))
    frames = tuple(encode_picture(f) for f in decode_frames(root / "clips" / name, len(labels)))
    return PersonClip(name, frames, labels)
