"""How much of a video file is missing, told from the sizes that its container announces.

Decoders play a file that was cut off as far as it goes and then end it as if that were all.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

# Boxes that MP4 and MOV files start with, and those in which a cut matters. What follows the last
# box may be anything, so that a strange size there proves nothing.
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")
_MEDIA_BOXES = (b"moov", b"mdat", b"moof")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """Return how many bytes of the MP4, MOV, AVI, Matroska or WebM file at ``path`` are missing.

    0 where it is complete, or where its format does not tell.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in _FIRST_BOXES:
            return max(0, _boxes_end(file, size) - size)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return max(0, _riff_end(file, size) - size)
        if head[:4] == _EBML:
            return max(0, _segment_end(file) - size)
    return 0


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Return where the last box that holds media or its description ends."""
    position = end = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0 means up to the end of the file
            break
        position += length
        if kind in _MEDIA_BOXES:
            end = position
    return end


def _riff_end(file: BinaryIO, size: int) -> int:
    """Return where the last RIFF chunk ends; files over 1 GB have several."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):  # still being recorded
            break
        position += 8 + length
    return position


def _segment_end(file: BinaryIO) -> int:
    """Return where the segment ends, 0 if it does not say."""
    file.seek(len(_EBML))
    header_size = _ebml_size(file)
    if header_size is None:
        return 0
    file.seek(header_size, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return 0
    segment_size = _ebml_size(file)
    return 0 if segment_size is None else file.tell() + segment_size


def _ebml_size(file: BinaryIO) -> int | None:
    """Read a number whose first byte's leading zeros say how many bytes follow."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    following = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> following)]) + file.read(following), "big")
    unknown = (1 << 7 * (following + 1)) - 1
    return None if value == unknown else value
