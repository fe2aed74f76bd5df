"""Frames worth labelling: a list for programs, and a picture for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgepose.sinks.files import AppendedFile
from edgepose_runtime.capture import CapturedFrame
from edgepose_runtime.crop import Image, as_bgr
from edgepose_runtime.errors import OutputError

#: Width of a picture on the sheet in pixels, and how many there are side by side at most.
TILE_WIDTH, COLUMNS = 200, 6
_LINE = 22
_PAPER, _INK = 255, (40, 40, 40)


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A frame that is worth labelling.

    Attributes:
        frame_id: its number.
        timestamp_ms: when it was taken.
        tile: a small picture of it, uint8 BGR.
    """

    frame_id: int
    timestamp_ms: float
    tile: Image

    @classmethod
    def of(cls, frame: CapturedFrame) -> Proposal:
        """Make one of a frame, whose picture is not kept."""
        image = as_bgr(frame.image)
        height = max(1, round(image.shape[0] * TILE_WIDTH / image.shape[1]))
        tile = cv2.resize(image, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
        return cls(frame.frame_id, frame.timestamp_ms, np.asarray(tile, np.uint8))


def write_list(path: Path, proposals: Sequence[Proposal]) -> None:
    """Write ``frame,timestamp_ms`` and a line for each frame.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = [f"{each.frame_id},{each.timestamp_ms:.3f}" for each in proposals]
    _write(path, "\n".join(["frame,timestamp_ms", *lines, ""]).encode())


def write_sheet(path: Path, proposals: Sequence[Proposal]) -> None:
    """Write a PNG with a picture of each frame, its number and its time.

    Raises:
        OutputError: the file cannot be written.
    """
    good, data = cv2.imencode(".png", contact_sheet(proposals))
    if not good:
        raise OutputError(f"The contact sheet '{path}' cannot be encoded as PNG.")
    _write(path, data.tobytes())


def contact_sheet(proposals: Sequence[Proposal]) -> Image:
    """Return a picture of all frames, row by row, uint8 BGR; one at least."""
    height = max(each.tile.shape[0] for each in proposals) + _LINE
    columns = min(COLUMNS, len(proposals))
    rows = math.ceil(len(proposals) / columns)
    sheet: Image = np.full((rows * height, columns * TILE_WIDTH, 3), _PAPER, np.uint8)
    for index, each in enumerate(proposals):
        top, left = index // columns * height, index % columns * TILE_WIDTH
        tile = each.tile
        sheet[top + _LINE : top + _LINE + tile.shape[0], left : left + TILE_WIDTH] = tile
        label = f"{each.frame_id}  {each.timestamp_ms / 1000:.2f} s"
        at = left + 4, top + _LINE - 7
        cv2.putText(sheet, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return sheet


def _write(path: Path, content: bytes) -> None:
    file = AppendedFile(path)
    try:
        file.append(content)
    finally:
        file.close()
