"""MOTChallenge: a text file of boxes for each video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgepose.export.boxes import trusted_boxes
from edgepose.export.files import by_video, write_file
from edgepose.pose_files.table import PoseTable
from edgepose.utils.output_files import make_folder


def export_mot(table: PoseTable, out: Path) -> int:
    """Write ``VIDEO.txt`` with ``frame, id, left, top, width, height, score, -1, -1, -1``.

    Frames and pixels are counted from 1, as the format says. A box is tight around the joints that
    score 0.2 or more; poses without such a joint are left out.

    Returns:
        How many boxes were written.

    Raises:
        OutputError: a file cannot be written.
    """
    make_folder(out)
    written = 0
    for stem, video in by_video(table):
        lines = _lines(video)
        write_file(out / f"{stem}.txt", "".join(lines).encode())
        written += len(lines)
    return written


def _lines(video: PoseTable) -> list[str]:
    boxes = trusted_boxes(video.keypoints)
    order = np.lexsort((video.person_id, video.frame))
    lines = []
    for row in order[np.isfinite(boxes[order]).all(axis=1)].tolist():
        x, y, width, height = boxes[row].tolist()
        numbers = (x + 1, y + 1, width, height, float(video.score[row]))
        box = ",".join(f"{number:.3f}" for number in numbers)
        lines.append(f"{video.frame[row] + 1},{video.person_id[row]},{box},-1,-1,-1\n")
    return lines
