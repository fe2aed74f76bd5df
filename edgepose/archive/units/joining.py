"""From ranges of cut videos to parts, with one identity per person and video."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.plan import Unit
from edgepose.archive.units.identities import join_range, matching_people
from edgepose.pose_files.parquet import file_metadata, read_parquet, write_parquet
from edgepose.pose_files.schema import require_pyarrow
from edgepose.pose_files.table import PoseTable

_GAPS = "gaps_before"


@dataclass(slots=True)
class _Chain:
    """How far the ranges of a video are joined."""

    units: list[Unit]
    next: int = 0
    before: PoseTable | None = None
    last_id: int = 0
    gaps: int = 0


class RangeJoiner:
    """Writes the parts of cut videos, in the order of their ranges.

    A range waits for the one before. Where that failed, identities begin anew behind the gap, and
    are joined when it is filled: ranges are kept until the whole video is there.

    Args:
        folder: the archive.
        units: of the plan; those of whole videos are left out.
        single: one person is followed, whose identity is 1 everywhere.
    """

    def __init__(self, folder: ArchiveFolder, units: Iterable[Unit], *, single: bool) -> None:
        self._folder, self._single = folder, single
        cut = [unit for unit in units if unit.is_cut]
        self._chains = {
            video: _Chain(list(group))
            for video, group in itertools.groupby(cut, operator.attrgetter("video"))
        }

    def add(self, unit: Unit) -> None:
        """Take in that a range was tracked."""
        self._advance(self._chains[unit.video], over_gaps=False)

    def finish(self) -> None:
        """Write the parts of all ranges that there are, also behind those that failed."""
        for chain in self._chains.values():
            self._advance(chain, over_gaps=True)

    def _advance(self, chain: _Chain, *, over_gaps: bool) -> None:
        while chain.next < len(chain.units):
            unit = chain.units[chain.next]
            if self._folder.piece(unit.unit).exists():
                self._join(chain, unit)
            elif self._is_complete(chain):
                break
            elif over_gaps:
                chain.before, chain.gaps = None, chain.gaps + 1
            else:
                return
            chain.next += 1
        if self._is_complete(chain) and not chain.gaps:
            for unit in chain.units:
                self._folder.piece(unit.unit).unlink(missing_ok=True)

    def _is_complete(self, chain: _Chain) -> bool:
        return all(self._folder.part(unit.unit).exists() for unit in chain.units)

    def _join(self, chain: _Chain, unit: Unit) -> None:
        piece = read_parquet(self._folder.piece(unit.unit))
        known = {1: 1} if self._single else matching_people(piece, chain.before, unit.start)
        joined = join_range(piece, unit.start, known, chain.last_id)
        chain.before, chain.last_id = joined.table, joined.last_id
        part = self._folder.part(unit.unit)
        if _gaps_of(part) != chain.gaps:
            part.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(part, joined.table, {**piece.metadata, _GAPS: chain.gaps})


def _gaps_of(part: Path) -> int | None:
    """Return how many ranges were missing before a part when it was written; ``None`` without."""
    if not part.exists():
        return None
    pyarrow = require_pyarrow()
    metadata = file_metadata(pyarrow.parquet.read_schema(part).metadata, part)
    return int(metadata.get(_GAPS, 0))
