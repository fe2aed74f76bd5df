"""Pseudo-labels: poses on which two models agree, with pictures of their frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.export.files import file_stem, write_file
from edgepose.people.association import assign
from edgepose.pose_files.parquet import write_parquet
from edgepose.pose_files.schema import require_pyarrow
from edgepose.pose_files.table import PoseTable, joined_tables
from edgepose.utils.output_files import make_folder
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.conversion import convert_keypoints

#: The file of labels in the folder that training reads.
LABELS = "labels.parquet"
_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Agreement:
    """When two poses of a person agree.

    Attributes:
        tolerance: joints that lie so far apart at most agree, in parts of the person's height.
        min_score: both must score so much.
        min_joints: a pose is kept if so large a part of its joints agree.
        every: of each video, only every so many frames are used: neighbours say the same.

    Raises:
        ConfigError: a number is outside its range.
    """

    tolerance: float = 0.05
    min_score: float = 0.3
    min_joints: float = 0.8
    every: int = 10

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and 0 < self.min_joints <= 1 and self.every >= 1):
            raise ConfigError(
                "tolerance must be above 0, min_joints above 0 and at most 1, every 1 or more; got "
                f"{self.tolerance}, {self.min_joints} and {self.every}."
            )


@dataclass(slots=True)
class PseudoLabels:
    """What was written.

    Attributes:
        poses: how many there are.
        pictures: how many frames they are in.
    """

    poses: int = 0
    pictures: int = 0


def export_pseudo_labels(
    table: PoseTable, other: PoseTable, videos: Path, out: Path, agreement: Agreement
) -> PseudoLabels:
    """Write ``labels.parquet`` and ``VIDEO/FRAME.jpg`` for the data kind ``pseudo-labels``.

    The joints are those of ``table``; one on which ``other`` does not agree is NaN with score 0.

    Args:
        table: poses of a model.
        other: poses of another model of the same videos.
        videos: the folder in which the names of the videos are paths.
        out: the folder to write to.
        agreement: which poses and joints are kept.

    Raises:
        SourceError: a video cannot be read.
        OutputError: a file cannot be written.
        ConfigError: the tables have no video in common.
    """
    require_pyarrow()  # before the pictures are written
    others = {name: other.of_video(name) for name in other.videos}
    written, tables = PseudoLabels(), list[PoseTable]()
    make_folder(out)
    for name in (name for name in table.videos if name in others):
        kept = agreeing(table.of_video(name), others[name], agreement)
        tables.append(kept)
        written.poses += len(kept)
        written.pictures += _write_pictures(videos / name, kept, out / file_stem(name))
    if not tables:
        raise ConfigError("The two results have no video in common; track the same videos twice.")
    write_parquet(out / LABELS, joined_tables(tables), {"kind": "pseudo-labels"})
    return written


def agreeing(video: PoseTable, other: PoseTable, agreement: Agreement) -> PoseTable:
    """Return the poses of a video on which another model agrees; its other joints are missing."""
    joints = convert_keypoints(other.keypoints, other.skeleton, video.skeleton)
    theirs = {frame: joints[rows] for _, frame, rows in other.groups()}
    keypoints, chosen = video.keypoints.copy(), list[int]()
    for _, frame, rows in video.groups():
        if frame % agreement.every or frame not in theirs:
            continue
        for row, agree in _agreeing_joints(video.keypoints, rows, theirs[frame], agreement).items():
            if agree.mean() >= agreement.min_joints:
                keypoints[row, ~agree] = np.nan, np.nan, 0
                chosen.append(row)
    kept = replace(video, keypoints=keypoints).select(np.array(chosen, np.int64))
    return replace(kept, frames=video.frames.select(np.isin(video.frames.frame, kept.frame)))


def _agreeing_joints(
    keypoints: NDArray[np.float32],
    rows: NDArray[np.int64],
    theirs: NDArray[np.float32],
    agreement: Agreement,
) -> Mapping[int, NDArray[np.bool_]]:
    """Return which joints (K,) agree, by the rows of people whom both models have."""
    ours = keypoints[rows]
    apart = np.linalg.norm(ours[:, None, :, :2] - theirs[None, :, :, :2], axis=-1)
    heights = np.maximum(np.nanmax(ours[..., :2], axis=1) - np.nanmin(ours[..., :2], axis=1), 1)
    apart = apart / heights.max(axis=1)[:, None, None]
    scores = np.minimum(ours[:, None, :, 2], theirs[None, :, :, 2])
    agree = (apart <= agreement.tolerance) & (scores >= agreement.min_score)
    pairs = assign(1 - agree.mean(axis=-1, dtype=np.float64))
    return {int(rows[first]): agree[first, second] for first, second in pairs}


def _write_pictures(path: Path, kept: PoseTable, folder: Path) -> int:
    wanted = set(kept.frame.tolist())
    if not wanted:
        return 0
    make_folder(folder)
    with open_source(path) as source:
        for frame in source:
            if frame.frame_id in wanted:
                encoded = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
                write_file(folder / f"{frame.frame_id:06d}.jpg", encoded.tobytes())
            if frame.frame_id >= max(wanted):
                break
    return len(wanted)
