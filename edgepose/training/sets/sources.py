"""Downloaded repositories, as folders or ZIP files, and the pictures in them."""

from __future__ import annotations

import random
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol
from zipfile import ZipFile

import numpy as np

from edgepose.datasets.readers.archives import LARGEST_PICTURE, open_archive, read_member
from edgepose.datasets.records import Image, decode_picture
from edgepose.models.options import from_mapping
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError, DataError, EdgePoseError
from edgepose_runtime.files import read_regular
from edgepose_runtime.geometry.boxes import Boxes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
VIDEOS = (".avi", ".mov", ".mp4", ".mpg", ".webm")
#: Endings of the files and folders that GitHub's downloads unpack to.
BRANCHES = ("", "-main", "-master")
#: Pictures of COCO by their numbers, such as COCO_val2014_000000001234.jpg or, by Roboflow,
#: 000000001234_jpg.rf.5a6b.jpg. Accuracy on everyday people is measured on some of them.
_COCO_NUMBER = re.compile(r"(?<!\d)0{6}\d{6}(?!\d)")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in which people, or places without people, are looked for.

    Attributes:
        origin: its path in the source, for a video with the number of the frame after ``#``.
        image: uint8 (H, W, 3) BGR.
        boxes: (N, 4) x1, y1, x2, y2 of people who are known to be in it, in pixels.
    """

    origin: str
    image: Image
    boxes: Boxes = field(default_factory=lambda: np.empty((0, 4)))


class Source(Protocol):
    """Files with pictures, which are read in their order."""

    files: list[str]

    @property
    def settings(self) -> SourceSettings:
        """What is taken from it."""

    def read(self, file: str) -> tuple[str, Iterator[Picture]]:
        """Return the SHA-256 of a file, and its pictures.

        Raises:
            DataError: the file cannot be read; that it is damaged may be told when its pictures
                are decoded.
        """


@dataclass(frozen=True)
class SourceSettings:
    """What is taken from one repository.

    Attributes:
        name: ``owner/name`` on GitHub.
        match: regular expression of the paths to take; empty for all.
        skip: regular expression of the paths to leave out; empty for none.
        per_file: samples of one picture, or of one frame of a video.
        every: of the pictures one in so many; of the frames of a video, 10 where this is 1.
        frames: of one video at most.
        most: samples of this repository at most, 0 for any number.
    """

    name: str
    match: str = ""
    skip: str = ""
    per_file: int = 3
    every: int = 1
    frames: int = 6
    most: int = 0

    def __post_init__(self) -> None:
        if min(self.per_file, self.every, self.frames) < 1 or self.most < 0:
            raise ConfigError(
                f"The source {self.name} needs per_file, every and frames of at least 1 and most "
                f"of at least 0; got {self.per_file}, {self.every}, {self.frames} and {self.most}."
            )
        try:
            re.compile(self.match), re.compile(self.skip)
        except re.error as error:
            raise ConfigError(
                f"match and skip of the source {self.name} must be regular expressions: {error}."
            ) from error

    def wants(self, path: str) -> bool:
        """Return whether a file of the repository is taken."""
        return (
            path.lower().endswith(IMAGES + VIDEOS)
            and re.search(self.match, path) is not None
            and not (self.skip and re.search(self.skip, path))
            and not _COCO_NUMBER.search(PurePosixPath(path).name)
        )


class Repository:
    """The files of a downloaded repository that are taken, in an order that a seed shuffles.

    Args:
        settings: what is taken.
        path: the folder or ZIP file.
        seed: of the order, so that a limit takes from everywhere.

    Raises:
        DataError: it cannot be read, or holds nothing that is taken.
    """

    def __init__(self, settings: SourceSettings, path: Path, seed: int) -> None:
        self.settings = settings
        self._path = path
        paths = sorted(filter(settings.wants, self._members))
        stills = [name for name in paths if name.lower().endswith(IMAGES)][:: settings.every]
        self.files = stills + [name for name in paths if name.lower().endswith(VIDEOS)]
        if not self.files:
            raise DataError(f"'{path}' holds no picture or video to take for {settings.name}.")
        random.Random(f"{seed} {settings.name}").shuffle(self.files)

    def read(self, file: str) -> tuple[str, Iterator[Picture]]:
        """See :class:`Source`."""
        content = self._content(file)
        pictures = self._frames if file.lower().endswith(VIDEOS) else self._still
        return sha256(content).hexdigest(), pictures(file, content)

    @cached_property
    def _archive(self) -> ZipFile | None:
        return None if self._path.is_dir() else open_archive(self._path)

    @cached_property
    def _members(self) -> dict[str, str]:
        """Names in the archive or folder by their path within the repository."""
        if self._archive is None:
            found = (path for path in self._path.rglob("*") if path.is_file())
            names = [path.relative_to(self._path).as_posix() for path in found]
        else:
            names = [name for name in self._archive.namelist() if not name.endswith("/")]
        parts = {PurePosixPath(name).parts[0] for name in names}
        if self._archive is None or len(parts) != 1:
            return {name: name for name in names}
        return {name.partition("/")[2]: name for name in names}  # GitHub's folder NAME-BRANCH

    def _content(self, file: str) -> bytes:
        if self._archive is not None:
            return read_member(self._archive, self._path, self._members[file])
        try:
            return read_regular(self._path / file, LARGEST_PICTURE)
        except OSError as error:
            raise DataError(f"'{self._path / file}' cannot be read: {error}.") from error

    def _still(self, file: str, content: bytes) -> Iterator[Picture]:
        yield Picture(file, decode_picture(content, f"{self.settings.name}/{file}"))

    def _frames(self, file: str, content: bytes) -> Iterator[Picture]:
        """Yield frames of a video, the middle ones of stretches of equal length."""
        every = 10 if self.settings.every == 1 else self.settings.every
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"video{PurePosixPath(file).suffix}"
            path.write_bytes(content)
            try:
                with open_source(path, allow_damaged=True) as video:
                    middle = (frame for frame in video if frame.frame_id % every == every // 2)
                    for frame in islice(middle, self.settings.frames):
                        yield Picture(f"{file}#{frame.frame_id}", frame.image)
            except EdgePoseError as error:
                raise DataError(
                    f"{self.settings.name}/{file} cannot be decoded: {error}"
                ) from error


def read_source_list(path: Path) -> tuple[SourceSettings, ...]:
    """Read the ``sources`` of a TOML file.

    Raises:
        ConfigError: the file is missing or broken, or has an unknown or unfitting option.
    """
    try:
        values = tomllib.loads(read_regular(path).decode())
    except (OSError, ValueError) as error:
        raise ConfigError(f"The list of sources '{path}' cannot be read: {error}.") from error
    items = values.get("sources")
    if not isinstance(items, list) or not items:
        raise ConfigError(f"The list of sources '{path}' needs one [[sources]] or more.")
    return tuple(from_mapping(SourceSettings, "source", item) for item in items)


def find_repositories(
    sources: Sequence[SourceSettings], folder: Path, seed: int, *, allow_missing: bool = False
) -> list[Repository]:
    """Return the repositories of a list that lie in a folder, unpacked or as ZIP files.

    Each is looked for as ``owner+name`` and as ``name``, also with ``-main`` or ``-master``.

    Raises:
        DataError: some are missing (all of them, with ``allow_missing``), or one cannot be read.
    """
    places = {source: _place(source.name, folder) for source in sources}
    missing = [source.name for source, place in places.items() if place is None]
    if missing and (not allow_missing or len(missing) == len(sources)):
        addresses = ", ".join(f"https://github.com/{name}" for name in missing)
        advice = "One is needed" if allow_missing else "--allow-missing builds the set without them"
        raise DataError(
            f"'{folder}' lacks {len(missing)} of {len(sources)} repositories. Download them as "
            "ZIP files (Code, Download ZIP) or clone them into it, as NAME, NAME-main or "
            f"NAME-master: {addresses}. {advice}."
        )
    return [Repository(source, place, seed) for source, place in places.items() if place]


def _place(name: str, folder: Path) -> Path | None:
    owner, _, short = name.partition("/")
    stems = [f"{stem}{branch}" for stem in (f"{owner}+{short}", short) for branch in BRANCHES]
    for stem in stems:
        if (folder / stem).is_dir():
            return folder / stem
        if (folder / f"{stem}.zip").is_file():
            return folder / f"{stem}.zip"
    return None
