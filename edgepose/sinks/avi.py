"""Motion JPEG in an AVI file that is readable at any moment.

The writers of OpenCV buffer, swallow a full disk, and lose what was not finished: a program that
is killed would leave little or nothing.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.utils.output_files import AppendedFile

Image = NDArray[np.uint8]

_QUALITY = 92
_KEY_FRAME, _HAS_INDEX = 0x10, 0x10
# Where the header says how long things are.
_RIFF_SIZE, _NUM_FRAMES, _STREAM_LENGTH, _MOVI_SIZE = 4, 48, 140, 216
# Sizes have 32 bits; programs that read them as signed need a second RIFF chunk before that.
_LONGEST_RIFF = 1 << 30


class AviWriter:
    """Appends frames of one size; each is on disk when the call returns. For one thread at a time.

    Args:
        path: the file; one that exists is replaced.
        size: (width, height) in pixels.
        fps: frames per second.
        longest_riff: after how many bytes a new chunk begins.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float,
        longest_riff: int = _LONGEST_RIFF,
    ) -> None:
        self._file = AppendedFile(path, _header(size, fps))
        self._longest_riff = longest_riff
        self._riff, self._movi = 0, _MOVI_SIZE
        self._num_frames = 0
        self._index = bytearray()

    def write(self, frame: Image) -> None:
        """Append a frame, uint8 BGR (H, W, 3).

        Raises:
            OutputError: the disk is full or gone. Frames written before stay readable.
            ClosedError: the writer was closed.
        """
        self._file.require_open()
        _, encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if self._file.size - self._riff >= self._longest_riff:
            self._begin_chunk()
        at = self._file.size
        self._file.append(_chunk(b"00dc", encoded.tobytes()))
        self._num_frames += 1
        if not self._riff:
            # The index counts from the word "movi".
            self._index += struct.pack(
                "<4sIII", b"00dc", _KEY_FRAME, at - self._movi - 4, encoded.size
            )

    def release(self) -> None:
        """Write the index and the lengths; a second call does nothing.

        Raises:
            OutputError: the disk is full. The frames stay readable.
        """
        if self._file.closed:
            return
        try:
            self._end_chunk()
            self._file.patch(_NUM_FRAMES, _number(self._num_frames))
            self._file.patch(_STREAM_LENGTH, _number(self._num_frames))
        finally:
            self._file.close()

    def _begin_chunk(self) -> None:
        header = b"RIFF" + _number(0) + b"AVIXLIST" + _number(0) + b"movi"
        self._end_chunk(header)
        self._riff = self._file.size - len(header)
        self._movi = self._riff + 16

    def _end_chunk(self, following: bytes = b"") -> None:
        """Write the index and the lengths, and what follows.

        Index and what follows are one piece: where the disk is full the chunk goes on, and may be
        ended again.
        """
        end = self._file.size
        index = b"" if self._riff else _chunk(b"idx1", bytes(self._index))
        self._file.patch(self._movi, _number(end - self._movi - 4))
        self._file.append(index + following)
        self._file.patch(self._riff + _RIFF_SIZE, _number(end + len(index) - self._riff - 8))


def _header(size: tuple[int, int], fps: float) -> bytes:
    """Return all that comes before the first frame; lengths that are not known yet are 0."""
    width, height = size
    rate, pixels = round(fps * 1000), width * height
    main = struct.pack(
        "<14I", round(1e6 / fps), 0, 0, _HAS_INDEX, 0, 0, 1, pixels * 3, width, height, 0, 0, 0, 0
    )
    stream = struct.pack(
        "<4s4sIHHIIIIIIIIHHHH", b"vids", b"MJPG", 0, 0, 0, 0, 1000, rate, 0, 0, pixels * 3,
        0xFFFFFFFF, 0, 0, 0, width, height,
    )  # fmt: skip
    picture = struct.pack(
        "<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", pixels * 3, 0, 0, 0, 0
    )
    streams = _chunk(b"LIST", b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", picture))
    headers = _chunk(b"LIST", b"hdrl" + _chunk(b"avih", main) + streams)
    return b"RIFF" + _number(0) + b"AVI " + headers + b"LIST" + _number(0) + b"movi"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + _number(len(content)) + content + bytes(len(content) % 2)


def _number(value: int) -> bytes:
    return struct.pack("<I", value)
