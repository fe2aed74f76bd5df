"""From a recipe's `sources` to loaded data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from edgepose.datasets.records import PersonClip, PersonImage
from edgepose.datasets.sampling import Source
from edgepose.datasets.shared import OnBroken, read_jhmdb_clips, read_lspet, read_people, refuse
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.skeletons import Skeleton

logger = logging.getLogger(__name__)

IMAGE_READERS: dict[str, Callable[[Path, Skeleton, OnBroken], Iterable[PersonImage]]] = {
    "lspet": read_lspet,
    "people": read_people,
}
CLIP_READERS: dict[str, Callable[[Path, Skeleton, OnBroken], Iterable[PersonClip]]] = {
    "jhmdb": lambda root, skeleton, broken: read_jhmdb_clips(root, skeleton, on_broken=broken),
}


def load_source(
    kind: str, share: float, folder: Path, skeleton: Skeleton, *, skip_broken: bool = True
) -> Source:
    """Read one set into memory.

    Args:
        kind: a name of `IMAGE_READERS` or `CLIP_READERS`.
        share: how often samples are drawn from it, against the other sources.
        folder: where it lies.
        skeleton: what its joints are converted to.
        skip_broken: name a broken file in the log and go on; else raise.

    Raises:
        ConfigError: unknown kind.
        DataError: the set is missing or empty, or a file is broken.
    """
    on_broken = _log if skip_broken else refuse
    if kind in IMAGE_READERS:
        images = list(IMAGE_READERS[kind](folder, skeleton, on_broken))
        source = Source(kind, share, images=images)
    elif kind in CLIP_READERS:
        source = Source(kind, share, clips=list(CLIP_READERS[kind](folder, skeleton, on_broken)))
    else:
        known = ", ".join(sorted({*IMAGE_READERS, *CLIP_READERS}))
        raise ConfigError(f"There is no reader for data of kind {kind!r}; choose one of {known}.")
    if not source.images and not source.clips:
        raise DataError(f"The {kind} set in {folder} holds no usable sample.")
    return source


def _log(error: DataError) -> None:
    logger.warning("Left out: %s", error)
