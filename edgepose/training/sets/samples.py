"""Samples of a set that is being built, and the files that keep them until it is complete."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.readers.tables import load_table
from edgepose.datasets.records import Image, encode_picture
from edgepose.utils.synced_files import write_synced

_QUALITY = 85
_HASH_SIDE, _HASH_WORDS = 8, 4


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a set.

    Attributes:
        origin: where it comes from, as in :class:`~edgepose.training.sets.sources.Picture`.
        picture: a JPEG.
        keypoints: float16 (26, 3), x and y in its pixels and a score, or (0, 3) without a person.
        look: its perceptual hash, uint16 (4,).
    """

    origin: str
    picture: bytes
    keypoints: NDArray[np.float16]
    look: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Part:
    """What a few files of a source gave.

    Attributes:
        files: SHA-256 of each; empty for one that could not be read.
        samples: in the order of the files.
    """

    files: list[str]
    samples: list[Sample]


def make_sample(origin: str, image: Image, keypoints: NDArray[np.float32]) -> Sample:
    """Encode a picture (H, W, 3) BGR and the joints in it."""
    picture = encode_picture(image, _QUALITY)
    return Sample(origin, picture, keypoints.astype(np.float16), perceptual_hash(image))


def perceptual_hash(image: Image) -> NDArray[np.uint16]:
    """Return 64 bits, uint16 (4,): which low frequencies are above their median."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_HASH_SIDE, :_HASH_SIDE].ravel()
    return np.packbits(low > np.median(low)).view(np.uint16)


class DuplicateFilter:
    """Tells pictures that are nearly the same as one before.

    Args:
        distance: in how many bits of 64 the hashes of different pictures differ at least.
    """

    def __init__(self, distance: int = 8) -> None:
        self._distance = distance
        self._known = np.empty((1024, _HASH_WORDS), np.uint16)
        self._count = 0

    def is_new(self, look: NDArray[np.uint16]) -> bool:
        """Return whether a picture is unlike all before, and remember it if so."""
        differing = np.unpackbits((self._known[: self._count] ^ look).view(np.uint8), axis=1)
        if self._count and differing.sum(axis=1).min() < self._distance:
            return False
        if self._count == len(self._known):
            self._known = np.concatenate([self._known, np.empty_like(self._known)])
        self._known[self._count] = look
        self._count += 1
        return True


def write_part(path: Path, part: Part) -> None:
    """Write a part as a whole.

    Raises:
        OutputError: the disk is full or gone.
    """
    samples, buffer = part.samples, io.BytesIO()
    np.savez(
        buffer,
        files=np.array(part.files),
        origins=np.array([sample.origin for sample in samples], dtype=str),
        sizes=np.array([len(sample.picture) for sample in samples], np.int64),
        pictures=np.frombuffer(b"".join(sample.picture for sample in samples), np.uint8),
        keypoints=np.array([sample.keypoints for sample in samples], np.float16),
        looks=np.array([sample.look for sample in samples], np.uint16),
    )
    write_synced(path, buffer.getvalue())


def read_part(path: Path) -> Part:
    """Read what :func:`write_part` wrote.

    Raises:
        DataError: it is damaged.
    """
    table = load_table(path, "files", "origins", "sizes", "pictures", "keypoints", "looks")
    ends = np.cumsum(table["sizes"])
    pictures = [
        table["pictures"][end - size : end].tobytes()
        for end, size in zip(ends, table["sizes"], strict=True)
    ]
    rows = zip(table["origins"].tolist(), pictures, table["keypoints"], table["looks"], strict=True)
    return Part(table["files"].tolist(), [Sample(*row) for row in rows])
