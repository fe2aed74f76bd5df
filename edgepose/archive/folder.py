"""The folder of an archive: what is done, what failed, and what it was made with."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgepose.archive.plan import Unit
from edgepose.archive.settings import FORMAT
from edgepose.utils.output_files import make_folder
from edgepose.utils.synced_files import sync_file, write_synced
from edgepose_runtime.errors import ConfigError, PoseFileError
from edgepose_runtime.files import read_json, shown

#: What must be the same for all parts of an archive.
_FIXED = ("model", "model_sha256", "skeleton")
_PREFIX, _SUFFIX = "part-", ".parquet"


@dataclass(frozen=True, slots=True)
class Failure:
    """A unit that failed.

    Attributes:
        unit: its name.
        video: name of its video.
        start: its first frame.
        reason: a sentence.
        tries: how often it was tried.
        final: it is not tried again, unless that is asked for.
        time: seconds since 1970.
    """

    unit: str
    video: str
    start: int
    reason: str
    tries: int
    final: bool
    time: float


class ArchiveFolder:
    """The files of an archive.

    They are::

        archive.json                   model, options, versions
        plan.jsonl                     a line for each unit
        parts/3f/part-3fa0….parquet    the poses of a unit; one that is there is done
        pieces/piece-….parquet         ranges of cut videos, until all of the video are there
        failed.jsonl                   a line for each failure
        progress.json                  how far the present or last run is

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.jsonl"
        self._about, self._failed = path / "archive.json", path / "failed.jsonl"
        self._progress = path / "progress.json"

    def part(self, unit: str) -> Path:
        """Return where the poses of a unit are; a folder has a 256th of them."""
        return self.path / "parts" / unit[:2] / f"{_PREFIX}{unit}{_SUFFIX}"

    def piece(self, unit: str) -> Path:
        """Return where a range of a cut video is before its identities are those of the video."""
        return self.path / "pieces" / f"piece-{unit}{_SUFFIX}"

    def output(self, unit: Unit) -> Path:
        """Return what a worker writes, in a folder that exists."""
        path = self.piece(unit.unit) if unit.is_cut else self.part(unit.unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def prepare(self, description: Mapping[str, Any]) -> None:
        """Create the folder, or check that it was made with the same model and options.

        Raises:
            ConfigError: it was made with others.
            OutputError: it cannot be created.
        """
        if self._about.exists():
            _require_same(self.description(), description, self.path)
            return
        make_folder(self.path)
        _write_json(self._about, description)

    def description(self) -> dict[str, Any]:
        """Return what the archive was made with.

        Raises:
            PoseFileError: the folder is none of an archive, or ``archive.json`` is damaged.
        """
        try:
            about = read_json(self._about)
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']!r}")
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise PoseFileError(
                f"'{shown(self.path)}' is no archive: archive.json cannot be read ({error})."
            ) from error
        return dict(about)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder; the lock ends with the process, however it ends.

        Raises:
            ConfigError: another run works on the archive.
        """
        with (self.path / "lock").open("w") as file:
            _lock(file.fileno(), self.path)
            yield

    def done(self) -> set[str]:
        """Return the names of all units that have a part."""
        return {
            entry.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
            for folder in _entries(self.path / "parts")
            for entry in _entries(Path(folder.path))
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX)
        }

    def remove_temporary(self) -> None:
        """Remove what killed runs and workers left unfinished."""
        for pattern in (".*.part", "parts/*/.*.part", "pieces/.*.part"):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    def failures(self) -> dict[str, Failure]:
        """Return the last failure of each unit; a cut last line counts as none."""
        found: dict[str, Failure] = {}
        for line in self._failed.read_bytes().splitlines() if self._failed.exists() else ():
            try:
                failure = Failure(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[failure.unit] = failure
        return found

    def add_failure(self, failure: Failure) -> None:
        """Append a failure."""
        with self._failed.open("ab") as file:
            file.write(json.dumps(asdict(failure)).encode() + b"\n")
            sync_file(file)

    def write_progress(self, progress: Mapping[str, Any]) -> None:
        """Say how far a run is, for ``--status``."""
        _write_json(self._progress, {**progress, "updated": time.time()})

    def progress(self) -> dict[str, Any]:
        """Return what the last run said; nothing if there was none."""
        try:
            return dict(read_json(self._progress))
        except (OSError, ValueError, TypeError):
            return {}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_synced(path, json.dumps(content, indent=1).encode())


def _require_same(made: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> None:
    pairs = {name: (made.get(name), given[name]) for name in _FIXED}
    for group in ("options", "cut"):
        for name, value in given[group].items():
            pairs[name] = (made.get(group, {}).get(name), value)
    other = [f"{name} {old!r}, not {new!r}" for name, (old, new) in pairs.items() if old != new]
    if other:
        raise ConfigError(
            f"The archive '{shown(path)}' was made with {'; '.join(other)}. Give the same model "
            "and options, or another folder with --out."
        )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            f"Another run works on the archive '{shown(path)}'; wait for it, or stop it."
        ) from error
