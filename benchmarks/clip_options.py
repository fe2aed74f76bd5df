"""The options by which benchmarks choose clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgepose.evaluation.data_sets import Selection


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--root``, ``--grade`` and ``--limit-clips``."""
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    parser.add_argument("--grade", default="A", help="grade of the annotation (default: A)")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="at most N clips")


def selection(args: argparse.Namespace, split: str | None = None) -> Selection:
    """Return the clips that the options stand for, of the split that is reported or another."""
    return Selection(root=args.root, split=split, grade=args.grade, limit=args.limit_clips)
