import struct

import pytest

from edgepose_runtime.capture.containers import missing_bytes


def box(kind, payload, length=None):
    return struct.pack(">I4s", 8 + len(payload) if length is None else length, kind) + payload


def riff(kind, payload, missing=0):
    return b"RIFF" + struct.pack("<I", 4 + len(payload) + missing) + kind + payload


EBML = b"\x1a\x45\xdf\xa3\x84head"
SEGMENT = b"\x18\x53\x80\x67"


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(100)) + box(b"moov", bytes(9)), 0),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(100), length=150), 42),
        (box(b"ftyp", b"isom") + box(b"mdat", struct.pack(">Q", 5000) + bytes(8), length=1), 4976),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(100), length=0), 0),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(8)) + b"and a trailer of any length", 0),
        (riff(b"AVI ", bytes(100)), 0),
        (riff(b"AVI ", bytes(100), missing=30), 30),
        (riff(b"AVI ", bytes(100)) + riff(b"AVIX", bytes(50), missing=7), 7),
        (b"RIFF" + bytes(4) + b"AVI " + bytes(100), 0),
        (riff(b"WAVE", bytes(100), missing=30), 0),
        (EBML + SEGMENT + b"\x8a" + bytes(10), 0),
        (EBML + SEGMENT + b"\x40\x14" + bytes(10), 10),
        (EBML + SEGMENT + b"\x01" + b"\xff" * 7 + bytes(10), 0),
        (EBML + b"something else", 0),
        (EBML, 0),
        (b"\x1a\x45\xdf\xa3", 0),
        (b"plain text", 0),
        (b"", 0),
    ],
)
def test_missing_bytes_are_told_from_the_announced_sizes(tmp_path, content, missing):
    path = tmp_path / "video"
    path.write_bytes(content)
    assert missing_bytes(path) == missing
