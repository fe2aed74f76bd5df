"""``edgepose export``: files of poses in the formats of other tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from edgepose.export.formats import FORMATS
from edgepose.export.pseudo_labels import Agreement, export_pseudo_labels
from edgepose.pose_files.reader import read_poses
from edgepose.utils.arguments import whole_number
from edgepose.utils.output_files import check_writable
from edgepose_runtime.errors import ConfigError

#: Training data, which needs the videos and a second model's results.
PSEUDO_LABELS = "pseudo-labels"
_AGREEMENT = Agreement()


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
    parser.add_argument("--to", required=True, choices=[*FORMATS, PSEUDO_LABELS], help="the format")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="the file, of coco and coco-results, or else the folder",
    )
    group = parser.add_argument_group("--to pseudo-labels")
    group.add_argument(
        "--agree-with", type=Path, metavar="RESULTS", help="another model's poses of the videos"
    )
    group.add_argument("--videos", type=Path, metavar="DIR", help="the folder of the videos")
    group.add_argument(
        "--tolerance",
        type=float,
        default=_AGREEMENT.tolerance,
        metavar="PART",
        help="joints so far apart agree, in heights of the person (default: %(default)s)",
    )
    group.add_argument(
        "--every",
        type=whole_number(1),
        default=_AGREEMENT.every,
        metavar="N",
        help="use each Nth frame (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and return the exit code."""
    if args.to == PSEUDO_LABELS:
        return _write_pseudo_labels(args)
    chosen = FORMATS[args.to]
    if not chosen.is_folder:
        check_writable(args.out)
    table = read_poses(args.results)
    count = chosen.write(table, args.out)
    sys.stdout.write(f"Wrote {count} poses of {len(table.frames)} frames to {args.out}.\n")
    return 0


def _write_pseudo_labels(args: argparse.Namespace) -> int:
    if args.agree_with is None or args.videos is None:
        raise ConfigError(
            "--to pseudo-labels needs --agree-with, the poses of another model, and --videos, the "
            "folder of the videos."
        )
    agreement = Agreement(tolerance=args.tolerance, every=args.every)
    tables = read_poses(args.results), read_poses(args.agree_with)
    written = export_pseudo_labels(*tables, args.videos, args.out, agreement)
    sys.stdout.write(f"Wrote {written.poses} poses in {written.pictures} pictures to {args.out}.\n")
    return 0
