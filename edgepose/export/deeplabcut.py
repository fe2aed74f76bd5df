"""DeepLabCut: a CSV file for each video."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.export.files import by_video, write_file
from edgepose.pose_files.table import PoseTable
from edgepose.utils.output_files import make_folder

_SCORER = "edgepose"
_COORDS = ("x", "y", "likelihood")


def export_deeplabcut(table: PoseTable, out: Path) -> int:
    """Write ``VIDEO.csv`` with a row per frame, from 0 to the last one.

    With one identity the file is that of a single animal, else that of several, named
    ``person1`` and so on. A pose that is not there has empty cells.

    Returns:
        How many poses were written.

    Raises:
        OutputError: a file cannot be written.
    """
    make_folder(out)
    for stem, video in by_video(table):
        write_file(out / f"{stem}.csv", _text(video).encode())
    return len(table)


def _text(video: PoseTable) -> str:
    identities = sorted(set(video.person_id.tolist())) or [1]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_header(video, identities))
    for frame, values in enumerate(_values(video, identities)):
        writer.writerow([frame, *("" if np.isnan(v) else round(v, 4) for v in values.tolist())])
    return text.getvalue()


def _header(video: PoseTable, identities: list[int]) -> list[list[str]]:
    columns = [
        (f"person{identity}", joint, coord)
        for identity in identities
        for joint in video.skeleton.joints
        for coord in _COORDS
    ]
    people, joints, coords = (list(names) for names in zip(*columns, strict=True))
    rows = [["scorer", *[_SCORER] * len(columns)]]
    rows += [["individuals", *people]] if len(identities) > 1 else []
    return [*rows, ["bodyparts", *joints], ["coords", *coords]]


def _values(video: PoseTable, identities: list[int]) -> NDArray[np.float64]:
    """Return (frames, people x K x 3), NaN where there is no pose."""
    frames = int(video.frames.frame.max(initial=-1)) + 1
    shape = (frames, len(identities), video.skeleton.num_joints, 3)
    values = np.full(shape, np.nan)
    place = {identity: index for index, identity in enumerate(identities)}
    people = [place[identity] for identity in video.person_id.tolist()]
    values[video.frame, people] = video.keypoints
    return values.reshape(frames, -1)
