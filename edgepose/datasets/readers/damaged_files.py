"""What to do about a file that is broken: refuse it, or name it and go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from edgepose_runtime.errors import DataError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Record = TypeVar("Record")
OnBroken = Callable[[DataError], None]


def refuse(error: DataError) -> None:
    """The strict answer to something broken: raise."""
    raise error


def skip(error: DataError) -> None:
    """The lenient answer: name it in the log and leave it out."""
    logger.warning("Left out: %s", error)


def read_each(
    items: Iterable[Item], read: Callable[[Item], Record], on_broken: OnBroken = refuse
) -> Iterator[Record]:
    """Read one item after the other; those whose reading raises `DataError` go to `on_broken`."""
    for item in items:
        try:
            record = read(item)
        except DataError as error:
            on_broken(error)
        else:
            yield record
