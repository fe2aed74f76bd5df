"""Files that are cut, overwritten, too large, nested too deeply, or no files at all."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import edgepose
from benchmarks.attack.outcome import Input
from edgepose.benchmarking.accuracy import read_accuracy
from edgepose.datasets.readers.archives import open_archive, read_member
from edgepose.datasets.readers.tables import load_table
from edgepose.inference.model import bundle_path
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.manifest_json import parse_manifest
from edgepose_runtime.bundles.springs_json import parse_springs, read_springs
from edgepose_runtime.interpolation.dictionary import load_dictionary

ACCURACY = {
    "accuracy": {
        "data": "clips", "clips": 2, "frames": 20, "headline": "PCK",
        "results": [
            {"name": "a", "backend": "b", "precision": "int8", "digest": "0f",
             "pck": {"boxes": {"PCK": 90.0}}},
        ],
    }
}  # fmt: skip
#: What stands in the way of whoever opens every path.
SPECIAL = ("/dev/zero", "/dev/full", "/dev/null", "/dev/tty", "/proc/self/mem", "/", "fifo")


def files(rng: random.Random, folder: Path) -> Input:
    """Return a random reader with a file that it does not expect."""
    name = rng.choice(sorted(READERS))
    suffix, content, read = READERS[name]
    path = folder / f"given{suffix}"
    if rng.random() < 0.1:
        special = rng.choice(SPECIAL)
        if special == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to(special)
        return Input(f"{name} of {special}", partial(read, path))
    kind = rng.choice(sorted(DAMAGES))
    path.write_bytes(DAMAGES[kind](rng, content()))
    return Input(f"{name} of {kind}", partial(read, path))


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _flipped(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _spliced(rng: random.Random, content: bytes) -> bytes:
    start, end = sorted(rng.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end:] + content[start:end] * rng.randint(0, 3)


def _nested(rng: random.Random, content: bytes) -> bytes:
    depth = rng.choice([100, 10_000, 200_000])
    nest = rng.choice([b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth])
    return nest if rng.random() < 0.5 else b'{"format": ' + nest + b', "x": ' + content + b"}"


def _values(rng: random.Random, content: bytes) -> bytes:
    """Replace a value of JSON by one of another type; other files are cut."""
    try:
        data = json.loads(content)
    except ValueError:
        return _cut(rng, content)
    place: Any = data
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = rng.choice(keys)
        if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.8:
            place = place[key]
            continue
        place[key] = rng.choice([None, -1, 1e308, 10**400, "x", "\0", [], {}, [[]], True, 2**63])
        break
    return json.dumps(data).encode()


def _large(rng: random.Random, _content: bytes) -> bytes:
    """Declare 100,000 pixels or numbers on each side, in a few bytes."""
    return rng.choice([_large_png, _large_npz, _unpacking_npz])(rng.choice([30_000, 100_000]))


def _large_png(side: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    chunks = (header, data, b"IEND")
    parts = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _large_npz(side: int) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({side}, {side})}}\n".encode()
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64
    return _zipped(dict.fromkeys(("joints.npy", "radius.npy"), array))


def _unpacking_npz(_side: int) -> bytes:
    return _zipped({"joints.npy": bytes(64 << 20)})


def _zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


DAMAGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "nothing": lambda _rng, _content: b"",
    "a cut": _cut,
    "flipped bytes": _flipped,
    "spliced parts": _spliced,
    "noise": lambda rng, _content: rng.randbytes(rng.randint(1, 5000)),
    "deep nesting": _nested,
    "other values": _values,
    "sizes that are too large": _large,
}


def _springs() -> bytes:
    return (bundle_path("ppn-swift") / "springs.json").read_bytes()


def _manifest() -> bytes:
    return (bundle_path("ppn-swift") / "manifest.json").read_bytes()


def _npz() -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, joints=np.zeros((4, 13, 2), np.float32), names=np.array(["a"]))
    return packed.getvalue()


def _picture(suffix: str) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return bytes(cv2.imencode(suffix, image)[1])


def _read_frames(path: Path) -> None:
    with edgepose.open_source(path) as source:
        for _ in source:
            pass


def _read_manifest(path: Path) -> None:
    target = path.parent / "bundle"
    target.mkdir()
    (target / "manifest.json").symlink_to(path)
    load_bundle(target)


def _read_pictures(path: Path) -> None:
    with open_archive(path) as archive:
        for name in archive.namelist()[:3]:
            read_member(archive, path, name)


def _from_text(parse: Callable[[str], object], path: Path) -> None:
    """Parse what was read already, as of a bundle that came over a network."""
    if path.is_file() and not path.is_symlink():
        parse(path.read_bytes().decode(errors="replace"))


#: Endings, whole contents and readers, by name.
READERS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "springs": (".json", _springs, read_springs),
    "springs as text": (".json", _springs, partial(_from_text, parse_springs)),
    "manifest": (".json", _manifest, _read_manifest),
    "manifest as text": (".json", _manifest, partial(_from_text, parse_manifest)),
    "results": (".json", lambda: json.dumps(ACCURACY).encode(), read_accuracy),
    "annotation": (".npz", _npz, lambda path: load_table(path, "joints")),
    "dictionary": (".npz", _npz, load_dictionary),
    "archive": (".zip", lambda: _zipped({"a.jpg": _picture(".jpg")}), _read_pictures),
    **{
        f"{suffix[1:]} image": (suffix, partial(_picture, suffix), _read_frames)
        for suffix in (".png", ".jpg", ".bmp", ".webp", ".tiff")
    },
    "video": (".mp4", lambda: b"\0\0\0\x18ftypmp42" + bytes(300), _read_frames),
}
