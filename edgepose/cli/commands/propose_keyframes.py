"""``edgepose propose-keyframes``: the frames of a video that are worth labelling."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepose.offline.contact_sheet import Proposal, limit_pictures, write_list, write_sheet
from edgepose.offline.learned_selector import selection
from edgepose.offline.windows import windows_of
from edgepose.utils.arguments import share
from edgepose.utils.output_files import check_writable
from edgepose.utils.progress import Progress, show_progress
from edgepose_runtime.capture import CapturedFrame, FrameSource, open_source
from edgepose_runtime.errors import ConfigError


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "propose-keyframes",
        help="list the frames of a video that are worth labelling",
        epilog="example: edgepose propose-keyframes walk.mp4 --rate 0.1 --csv keys.csv",
    )
    parser.add_argument("video", help="a video file or a folder of images")
    parser.add_argument(
        "--rate",
        type=share,
        metavar="PART",
        help="the part of the frames to propose (default: as many as say something new; a quarter "
        "with --selector)",
    )
    parser.add_argument(
        "--selector",
        type=Path,
        metavar="FILE",
        help="a learned selector, an ONNX file made by "
        "'edgepose convert --to selector' (default: even steps of time and change)",
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="the list (default: VIDEO.keyframes.csv)"
    )
    parser.add_argument(
        "--contact-sheet",
        type=Path,
        metavar="FILE",
        help="the contact sheet, a PNG (default: VIDEO.keyframes.png)",
    )


def run(args: argparse.Namespace) -> int:
    """Propose frames and return the exit code."""
    with open_source(args.video) as source:
        if source.is_live:
            raise ConfigError(
                f"propose-keyframes is for videos that end, and '{args.video}' does not: record it."
            )
        table, sheet = (
            getattr(args, kind) or _beside(args.video, ending)
            for kind, ending in (("csv", "csv"), ("contact_sheet", "png"))
        )
        _require_different(Path(args.video), table, sheet)
        for path in (table, sheet):
            check_writable(path)
        proposals, count = _propose(source, args.rate, args.selector)
    write_list(table, proposals)
    shown = write_sheet(sheet, proposals)
    sys.stdout.write(
        f"{len(proposals)} of {count} frames are worth labelling "
        f"({100 * len(proposals) / count:.0f} %): {table}, {sheet}"
        f"{'' if shown == len(proposals) else f' (with {shown} of them)'}\n"
    )
    return 0


def _require_different(video: Path, table: Path, sheet: Path) -> None:
    """Refuse to replace the video, or one file by the other."""
    if len({path.resolve() for path in (video, table, sheet)}) < 3:
        raise ConfigError(
            f"The video '{video}', the list '{table}' and the contact sheet '{sheet}' must be "
            "three files; give others with --csv and --contact-sheet."
        )


def _propose(
    source: FrameSource, rate: float | None, selector: Path | None
) -> tuple[list[Proposal], int]:
    proposals: list[Proposal] = []
    count = 0
    with (
        selection(selector) as (select, describe),
        show_progress("propose", source.num_frames) as progress,
    ):
        frames = _counted(source, progress)
        for window in windows_of(frames, select, rate=rate, describe=describe):
            proposals += [Proposal.of(window.frames[key]) for key in window.keys]
            proposals = limit_pictures(proposals)
            count += len(window.frames)
    return proposals, count


def _counted(source: FrameSource, progress: Progress) -> Iterator[CapturedFrame]:
    for frame in source:
        yield frame
        progress.advance()


def _beside(video: str, ending: str) -> Path:
    path = Path(video)
    return path.with_name(f"{path.stem}.keyframes.{ending}")
