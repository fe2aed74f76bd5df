"""From a recipe's `sources` to loaded data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgepose.datasets.clips import Clip, person_clip
from edgepose.datasets.readers.coco import read_coco
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse, skip
from edgepose.datasets.readers.jhmdb import read_jhmdb_people
from edgepose.datasets.readers.mpii import read_mpii
from edgepose.datasets.readers.penn import read_penn_clips
from edgepose.datasets.readers.published_jhmdb import read_full_jhmdb_clips, read_sub_jhmdb_clips
from edgepose.datasets.readers.stills import (
    read_backgrounds,
    read_lspet,
    read_people,
    read_pseudo_labels,
)
from edgepose.datasets.records import PersonClip, PersonImage, decode_picture
from edgepose.datasets.sampling.sampler import Source
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import Skeleton

JHMDB_SPLITS = ("train1", "train2", "train3")


@dataclass(frozen=True)
class ReadOptions:
    """How a set is read for training.

    Attributes:
        skeleton: what its joints are converted to.
        split: which of its training splits, for sets that have several.
        supervise_only_visible: give occluded joints no weight (Penn Action, MPII, COCO).
        on_broken: is given a `DataError` for each broken item, which is left out.
    """

    skeleton: Skeleton
    split: str = "train"
    supervise_only_visible: bool = False
    on_broken: OnBroken = refuse


@dataclass(frozen=True)
class Kind:
    """A kind of data.

    Attributes:
        read: yields its records from a folder.
        splits: the training splits there are, the usual one first. Others must not be trained on.
    """

    read: Callable[[Path, ReadOptions], Iterable[PersonImage | PersonClip]]
    splits: tuple[str, ...] = ("train",)


def _lspet(folder: Path, options: ReadOptions) -> Iterable[PersonImage]:
    return read_lspet(folder, options.skeleton, options.on_broken)


def _people(folder: Path, options: ReadOptions) -> Iterable[PersonImage]:
    return read_people(folder, options.skeleton, options.on_broken)


def _pseudo_labels(folder: Path, options: ReadOptions) -> Iterable[PersonImage]:
    return read_pseudo_labels(folder, options.skeleton, options.on_broken)


def _backgrounds(folder: Path, options: ReadOptions) -> Iterable[PersonImage]:
    return read_backgrounds(folder, options.skeleton, options.on_broken)


def _mpii(folder: Path, options: ReadOptions) -> Iterable[PersonImage]:
    occluded = not options.supervise_only_visible
    return read_mpii(folder, options.skeleton, occluded=occluded, on_broken=options.on_broken)


def _coco(folder: Path, options: ReadOptions) -> Iterable[PersonImage]:
    occluded = not options.supervise_only_visible
    return read_coco(folder, options.skeleton, occluded=occluded, on_broken=options.on_broken)


def _jhmdb(folder: Path, options: ReadOptions) -> Iterable[PersonClip]:
    return read_jhmdb_people(folder, options.skeleton, options.on_broken)


def _penn(folder: Path, options: ReadOptions) -> Iterable[PersonClip]:
    occluded = not options.supervise_only_visible
    clips = read_penn_clips(folder, options.split, occluded=occluded, on_broken=options.on_broken)
    return _person_clips(clips, options)


def _sub_jhmdb(folder: Path, options: ReadOptions) -> Iterable[PersonClip]:
    return _person_clips(read_sub_jhmdb_clips(folder, options.split, options.on_broken), options)


def _full_jhmdb(folder: Path, options: ReadOptions) -> Iterable[PersonClip]:
    return _person_clips(read_full_jhmdb_clips(folder, options.split, options.on_broken), options)


def _person_clips(clips: Iterable[Clip], options: ReadOptions) -> Iterable[PersonClip]:
    return (person_clip(clip, options.skeleton) for clip in clips)


KINDS = {
    "lspet": Kind(_lspet),
    "people": Kind(_people),
    "backgrounds": Kind(_backgrounds),
    "pseudo-labels": Kind(_pseudo_labels),
    "mpii": Kind(_mpii),
    "coco": Kind(_coco),
    "jhmdb": Kind(_jhmdb),
    "penn": Kind(_penn),
    "sub-jhmdb": Kind(_sub_jhmdb, JHMDB_SPLITS),
    "full-jhmdb": Kind(_full_jhmdb, JHMDB_SPLITS),
}


def load_source(
    kind: str,
    share: float,
    folder: Path,
    skeleton: Skeleton,
    *,
    skip_broken: bool = True,
    split: str = "",
    supervise_only_visible: bool = False,
) -> Source:
    """Read one set. What it keeps in memory are labels, and pictures that come in an archive.

    Args:
        kind: a name of `KINDS`.
        share: how often samples are drawn from it, against the other sources.
        folder: where it lies.
        skeleton: what its joints are converted to.
        skip_broken: name what is broken in the log and go on; pictures that have a file each are
            looked at when they are drawn. Else everything is decoded once, and the first broken
            file raises.
        split: which of its training splits; empty for the usual one.
        supervise_only_visible: give occluded joints no weight (Penn Action, MPII, COCO).

    Raises:
        ConfigError: unknown kind or split.
        DataError: the set is missing or empty, or a file is broken.
    """
    if kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise ConfigError(f"There is no reader for data of kind {kind!r}; choose one of {known}.")
    splits = KINDS[kind].splits
    if split and split not in splits:
        raise ConfigError(f"{kind} has no training split {split!r}; it has {', '.join(splits)}.")
    on_broken = skip if skip_broken else refuse
    options = ReadOptions(skeleton, split or splits[0], supervise_only_visible, on_broken)
    check = _labelled if skip_broken else _decoded
    records = list(read_each(KINDS[kind].read(folder, options), check, on_broken))
    if not records:
        raise DataError(f"The {kind} set in '{folder}' holds no usable sample.")
    images = [record for record in records if isinstance(record, PersonImage)]
    clips = [record for record in records if isinstance(record, PersonClip)]
    return Source(kind, share, images, clips)


def _labelled(record: PersonImage | PersonClip) -> PersonImage | PersonClip:
    """The record itself, if any joint in it is known."""
    if not np.any(record.keypoints[..., 2] > 0):
        raise DataError(f"No joint of {record.name} is known.")
    return record


def _decoded(record: PersonImage | PersonClip) -> PersonImage | PersonClip:
    """The record itself, if all of its pictures can be decoded, too."""
    frames = record.frames if isinstance(record, PersonClip) else (record.picture,)
    for frame in frames:
        decode_picture(frame, record.name)
    return _labelled(record)
