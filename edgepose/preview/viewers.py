"""Counts of who looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ViewerCounts:
    """Viewers of a preview; changed on its loop's thread only.

    Attributes:
        open: picture and event streams that are open.
        dropped: streams that were ended because their viewer was too slow.
        refused: connections and streams beyond the limits.
    """

    open: int = 0
    dropped: int = 0
    refused: int = 0
