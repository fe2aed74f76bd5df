"""Frames worth labelling: a list for programs, and a picture for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from edgepose.utils.output_files import AppendedFile
from edgepose_runtime.capture import CapturedFrame
from edgepose_runtime.errors import OutputError
from edgepose_runtime.geometry.crop import Image, as_bgr

#: Width of a picture on the sheet in pixels, and how many there are side by side at most.
TILE_WIDTH, COLUMNS = 200, 6
#: Pictures on a sheet at most: more would neither fit into memory nor be looked at.
MOST_TILES = 300
_LINE = 22
_PAPER, _INK = 255, (40, 40, 40)


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A frame that is worth labelling.

    Attributes:
        frame_id: its number.
        timestamp_ms: when it was taken.
        tile: a small picture of it, uint8 BGR; ``None`` if it is not on the sheet.
    """

    frame_id: int
    timestamp_ms: float
    tile: Image | None

    @classmethod
    def of(cls, frame: CapturedFrame) -> Proposal:
        """Make one of a frame, whose picture is not kept."""
        image = as_bgr(frame.image)
        height = max(1, round(image.shape[0] * TILE_WIDTH / image.shape[1]))
        tile = cv2.resize(image, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
        return cls(frame.frame_id, frame.timestamp_ms, np.asarray(tile, np.uint8))


def limit_pictures(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the proposals with fewer pictures, evenly spaced, if they are too many."""
    step = 1
    while len(proposals) > step * MOST_TILES:
        step *= 2  # so that those that a longer list needs were kept of a shorter one
    return [
        replace(each, tile=None) if index % step else each for index, each in enumerate(proposals)
    ]


def write_list(path: Path, proposals: Sequence[Proposal]) -> None:
    """Write ``frame,timestamp_ms`` and a line for each frame.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = [f"{each.frame_id},{each.timestamp_ms:.3f}" for each in proposals]
    _write(path, "\n".join(["frame,timestamp_ms", *lines, ""]).encode())


def write_sheet(path: Path, proposals: Sequence[Proposal]) -> int:
    """Write a PNG with the pictures of frames, their numbers and times; return how many.

    Raises:
        OutputError: the file cannot be written.
    """
    good, data = cv2.imencode(".png", contact_sheet(proposals))
    if not good:
        raise OutputError(f"The contact sheet '{path}' cannot be encoded as PNG.")
    _write(path, data.tobytes())
    return sum(each.tile is not None for each in proposals)


def contact_sheet(proposals: Sequence[Proposal]) -> Image:
    """Return a picture of all frames that have one, row by row, uint8 BGR; one at least."""
    tiles = [(each, each.tile) for each in proposals if each.tile is not None]
    height = max(tile.shape[0] for _, tile in tiles) + _LINE
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet: Image = np.full((rows * height, columns * TILE_WIDTH, 3), _PAPER, np.uint8)
    for index, (each, tile) in enumerate(tiles):
        top, left = index // columns * height, index % columns * TILE_WIDTH
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
