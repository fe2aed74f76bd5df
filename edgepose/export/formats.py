"""The formats there are, by the names that the command line uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgepose.export.coco import export_coco, export_coco_results
from edgepose.export.deeplabcut import export_deeplabcut
from edgepose.export.mot import export_mot
from edgepose.export.openpose import export_openpose
from edgepose.pose_files.table import PoseTable


@dataclass(frozen=True, slots=True)
class Format:
    """A format of another tool.

    Attributes:
        write: writes a table to a path, and returns how many poses it wrote.
        is_folder: the path is a folder, with files for each video.
    """

    write: Callable[[PoseTable, Path], int]
    is_folder: bool


FORMATS = {
    "coco-results": Format(export_coco_results, is_folder=False),
    "coco": Format(export_coco, is_folder=False),
    "openpose": Format(export_openpose, is_folder=True),
    "deeplabcut": Format(export_deeplabcut, is_folder=True),
    "mot": Format(export_mot, is_folder=True),
}
