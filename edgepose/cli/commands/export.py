"""``edgepose export``: files of poses in the formats of other tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from edgepose.export.formats import FORMATS
from edgepose.pose_files.reader import read_poses
from edgepose.utils.output_files import check_writable


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="write poses in the formats of other tools",
        epilog="example: edgepose export poses.jsonl --to coco --out annotations.json",
    )
    parser.add_argument(
        "results",
        type=Path,
        help="a JSON Lines, CSV or Parquet file of poses, or the folder of an archive",
    )
    parser.add_argument("--to", required=True, choices=[*FORMATS], help="the format")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="the file, of coco and coco-results, or else the folder",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and return the exit code."""
    chosen = FORMATS[args.to]
    if not chosen.is_folder:
        check_writable(args.out)
    table = read_poses(args.results)
    count = chosen.write(table, args.out)
    sys.stdout.write(f"Wrote {count} poses of {len(table.frames)} frames to {args.out}.\n")
    return 0
