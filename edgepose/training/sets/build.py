"""Builds a set out of sources: part by part, so that a stopped build goes on where it was."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from edgepose import __version__
from edgepose.training.sets.samples import DuplicateFilter, Part, Sample, read_part, write_part
from edgepose.training.sets.sources import Picture, Source
from edgepose.training.sets.writer import PICTURES, SetWriter
from edgepose.utils.output_files import make_folder
from edgepose.utils.progress import Progress
from edgepose.utils.synced_files import write_synced
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.files import exists, read_json

#: Files of a source that are worked off before what they gave is written.
FILES_PER_PART = 32
MANIFEST, PARTS, PLAN = "manifest.json", "parts", "plan.json"


class Finder(Protocol):
    """Finds samples in pictures."""

    @property
    def settings(self) -> Any:
        """What it looks for, a dataclass."""

    def find(self, picture: Picture, most: int) -> list[Sample]:
        """Return at most so many samples of a picture, the best first."""


@dataclass(frozen=True)
class BuildSettings:
    """What a set is built with.

    Attributes:
        kind: ``people`` or ``backgrounds``.
        most: samples of each source at most, 0 for as many as its list says.
        seed: of the order of files, for the manifest.
        networks: SHA-256 of the networks that find and label, by name.
    """

    kind: str
    most: int = 0
    seed: int = 0
    networks: Mapping[str, str] = field(default_factory=dict)


@dataclass
class SourceReport:
    """What a source gave.

    Attributes:
        name: of the source.
        files: how many were read.
        unreadable: how many of these could not be.
        samples: how many are in the set.
        near_duplicates: how many were left out, as they look like one before.
        sha256: of the SHA-256 of all files, in order.
    """

    name: str
    files: int = 0
    unreadable: int = 0
    samples: int = 0
    near_duplicates: int = 0
    sha256: str = ""


def build_set(
    folder: Path,
    sources: Sequence[Source],
    finder: Finder,
    settings: BuildSettings,
    progress: Progress,
) -> list[SourceReport]:
    """Build a set in a folder, or go on with one that was stopped.

    The same sources, networks and settings give the same files. ``manifest.json`` is written last.

    Args:
        folder: of the set; created if need be.
        sources: where pictures come from, in this order.
        finder: finds samples in them.
        settings: of the set.
        progress: told of each file that was read.

    Raises:
        ConfigError: a build with other settings was stopped in the folder.
        DataError: no file of a source can be read, or nothing usable was found.
        OutputError: the folder cannot be written.
    """
    parts = folder / PARTS
    make_folder(parts)
    plan = _plan(sources, finder, settings)
    _require_plan(parts / PLAN, plan)
    reports, known = [], DuplicateFilter()
    with SetWriter(folder, parts, with_labels=settings.kind == "people") as writer:
        for number, source in enumerate(sources):
            worked = _parts(parts, number, source, finder, progress)
            reports.append(_take(source, worked, known, writer, settings.most))
        if not writer.count:
            raise DataError(f"No sample for the set '{folder}' was found in its sources.")
        files = writer.finish()
    manifest = {**plan, "samples": writer.count, "files": files}
    manifest["sources"] = [asdict(report) for report in reports]
    write_synced(folder / MANIFEST, _encoded(manifest))
    shutil.rmtree(parts, ignore_errors=True)
    return reports


def is_built(folder: Path) -> bool:
    """Return whether a set is complete: a build that was stopped at its very end goes on."""
    stopped = exists(folder / PARTS / PLAN) and not exists(folder / MANIFEST)
    return exists(folder / PICTURES) and not stopped


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a set was built with; nothing for a set of another origin.

    Raises:
        DataError: the manifest is damaged.
    """
    path = folder / MANIFEST
    return _read(path) if exists(path) else {}


def _plan(sources: Sequence[Source], finder: Finder, settings: BuildSettings) -> dict[str, Any]:
    """Return all that decides what the set will be."""
    return {
        "format": 1,
        "edgepose": __version__,
        **asdict(settings),
        "options": asdict(finder.settings),
        "sources": [
            {**asdict(source.settings), "files": _digest(source.files)} for source in sources
        ],
    }


def _require_plan(path: Path, plan: dict[str, Any]) -> None:
    """Write the plan of a new build; compare that of one that was stopped with parts done."""
    if not path.exists() or not any(path.parent.glob("*.npz")):
        write_synced(path, _encoded(plan))
    elif _read(path) != json.loads(_encoded(plan)):
        raise ConfigError(
            f"A build with other sources, networks or settings was stopped in '{path.parent}'. "
            "Give those again to go on with it, or remove this folder to begin anew."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read: {error}; remove '{path.parent}'.") from error


def _parts(
    folder: Path, number: int, source: Source, finder: Finder, progress: Progress
) -> Iterator[Part]:
    """Yield what each few files of a source give; work that was done before is read."""
    for start in range(0, len(source.files), FILES_PER_PART):
        files = source.files[start : start + FILES_PER_PART]
        path = folder / f"{number:02d}-{start:06d}.npz"
        if path.exists():
            part = read_part(path)
            progress.advance(len(files), source.settings.name)
        else:
            part = _work_off(source, files, finder, progress)
            write_part(path, part)
        yield part


def _work_off(source: Source, files: list[str], finder: Finder, progress: Progress) -> Part:
    digests, samples = [], list[Sample]()
    for file in files:
        try:
            digest, pictures = source.read(file)
            found = [
                sample
                for picture in pictures
                for sample in finder.find(picture, source.settings.per_file)
            ]
        except DataError:
            digest, found = "", []
        digests.append(digest)
        samples += found
        progress.advance(1, source.settings.name)
    return Part(digests, samples)


def _take(
    source: Source, parts: Iterator[Part], known: DuplicateFilter, writer: SetWriter, most: int
) -> SourceReport:
    """Write what is new of a source's samples, up to its limit."""
    report, digests = SourceReport(source.settings.name), list[str]()
    most = most or source.settings.most or sys.maxsize
    for part in parts:
        digests += part.files
        _add(part.samples, report, known, writer, most)
        if report.samples == most:
            break
    report.files, report.unreadable = len(digests), digests.count("")
    report.sha256 = _digest(digests)
    if report.unreadable == report.files:
        raise DataError(
            f"None of the {report.files} files of {report.name} can be read: it is damaged, or no "
            "set of pictures. Download it again."
        )
    return report


def _add(
    samples: list[Sample],
    report: SourceReport,
    known: DuplicateFilter,
    writer: SetWriter,
    most: int,
) -> None:
    for sample in samples:
        if report.samples == most:
            return
        if known.is_new(sample.look):
            writer.add(report.name, sample)
            report.samples += 1
        else:
            report.near_duplicates += 1


def _digest(lines: Sequence[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()


def _encoded(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()
