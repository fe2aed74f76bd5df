"""The clips to evaluate on, by the name of the data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepose.datasets.clips import Clip
from edgepose.datasets.readers import published_jhmdb as published_jhmdb
from edgepose.datasets.readers.damaged_files import read_each, refuse, skip
from edgepose.datasets.readers.everyday import read_everyday_clips
from edgepose.datasets.readers.jhmdb import SPLITS as JHMDB_SPLITS
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
from edgepose.datasets.readers.penn import read_penn_clips
from edgepose.datasets.root import data_root
from edgepose_runtime.errors import ConfigError, DataError

Reader = Callable[..., list[Clip]]


@dataclass(frozen=True)
class DataSet:
    """An annotated set of clips.

    Attributes:
        read: takes its folder, the split and ``on_broken``, which is told of broken clips.
        splits: the splits there are, the one to report first.
        headline: which mean to quote: a field of
            :class:`~edgepose.evaluation.metrics.pck.PckSummary`.
    """

    read: Reader
    splits: tuple[str, ...]
    headline: str


EVERYDAY = "everyday"
"""People in photos: a clip of one frame each, with a protocol of its own."""

SEVERAL = "several"
"""Videos of several people with identities: no clips of one person, and a protocol of its own."""

DATA_SETS: dict[str, DataSet] = {
    "jhmdb": DataSet(read_jhmdb_clips, JHMDB_SPLITS, "limbs12"),
    "penn": DataSet(read_penn_clips, ("test", "train"), "micro"),
    "sub-jhmdb": DataSet(published_jhmdb.read_sub_jhmdb_clips, published_jhmdb.SPLITS, "mean7"),
    "full-jhmdb": DataSet(published_jhmdb.read_full_jhmdb_clips, published_jhmdb.SPLITS, "mean7"),
    EVERYDAY: DataSet(read_everyday_clips, ("val",), "limbs12"),
}


@dataclass(frozen=True)
class Selection:
    """Which clips of a data set.

    Attributes:
        data: name of the set.
        root: its folder; ``None`` for the folder of that name under the data root.
        split: part of the set; ``None`` for the one that is reported.
        grade: only clips whose annotation has this grade.
        full_body: only clips that show the whole body.
        limit: at most so many clips, spread over the set.
        skip_broken: name broken clips in the log and leave them out; else the first one raises.
    """

    data: str = "jhmdb"
    root: Path | None = None
    split: str | None = None
    grade: str | None = None
    full_body: bool = False
    limit: int | None = None
    skip_broken: bool = False


def data_set(name: str) -> DataSet:
    """Return a data set by name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in DATA_SETS:
        raise ConfigError(f"There is no data set {name!r}; there is {', '.join(DATA_SETS)}.")
    return DATA_SETS[name]


def select_clips(selection: Selection) -> list[Clip]:
    """Read the clips, and decode each of their frames once.

    A broken picture is so found now, and not hours later when its clip is evaluated.

    Raises:
        ConfigError: there is no such data set or split, or the limit is below 1.
        DataError: the data is missing or damaged, or no clip fits.
    """
    chosen = data_set(selection.data)
    split = selection.split or chosen.splits[0]
    if split not in chosen.splits:
        known = ", ".join(chosen.splits)
        raise ConfigError(f"{selection.data} has no split {split!r}; it has {known}.")
    root = selection.root or data_root() / selection.data
    on_broken = skip if selection.skip_broken else refuse
    read = chosen.read(root, split, on_broken=on_broken)
    fitting = _spread([clip for clip in read if _fits(clip, selection)], selection.limit)
    clips = list(read_each(fitting, _decoded, on_broken))
    if not clips:
        raise DataError(
            f"No clip in the part {split!r} of '{root}' can be used: all {len(read)} have another "
            "grade, do not show the whole body, or are broken."
        )
    return clips


def _fits(clip: Clip, selection: Selection) -> bool:
    return selection.grade in (None, clip.grade) and (clip.full_body or not selection.full_body)


def _decoded(clip: Clip) -> Clip:
    for _ in clip.frames():
        pass
    return clip


def _spread(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """Return at most ``limit`` clips at even distances: neighbours are often cut from one film."""
    if limit is None or limit >= len(clips):
        return list(clips)
    if limit < 1:
        raise ConfigError(f"At least 1 clip must be evaluated, not {limit}.")
    return [clips[index * len(clips) // limit] for index in range(limit)]
