"""Where ``edgepose track`` puts its results."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgepose.cli.extras import require_packages
from edgepose.drawing import DEBUG_STYLE, DEFAULT_STYLE, DrawingStyle, draw_result
from edgepose.inference.model import PoseModel
from edgepose.people.settings import people_settings
from edgepose.results import PoseResult
from edgepose.sinks import CsvSink, JsonlSink, ParquetSink, RerunSink, VideoSink
from edgepose.sinks.rerun import is_viewer
from edgepose.sinks.timeline import TimedVideo
from edgepose.utils.arguments import whole_number
from edgepose.utils.output_files import check_writable, resolved
from edgepose_runtime.capture import DEFAULT_FPS, FrameSource
from edgepose_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgepose.cli.tracking.preview import SourcePreview
    from edgepose.cli.tracking.window import Window

ResultFile: TypeAlias = JsonlSink | CsvSink | ParquetSink
#: As ``--jsonl`` or ``--csv``, standard output.
STDOUT = Path("-")
#: Pictures per second of a camera's video, at most: some cameras claim thousands.
MOST_LIVE_FPS = 60.0
#: Pixels of the pictures of ``--rerun``.
RERUN_WIDTH = 640


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add where results go."""
    parser.add_argument(
        "--jsonl", type=Path, metavar="FILE", help="write results as JSON Lines; -: to stdout"
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write results as CSV, a row for each; -: to stdout",
    )
    parser.add_argument(
        "--parquet",
        type=Path,
        metavar="FILE",
        help="write results as Parquet, a row for each person (needs edgepose[parquet])",
    )
    parser.add_argument(
        "--rerun",
        metavar="FILE|connect|ADDRESS",
        help="log pictures and people for the viewer Rerun: to a file .rrd, to a viewer on this "
        "machine, or to one at rerun+http://HOST:PORT/proxy (needs edgepose[rerun])",
    )
    parser.add_argument(
        "--rerun-width",
        type=whole_number(0),
        default=RERUN_WIDTH,
        metavar="PIXELS",
        help=f"with --rerun: width of the pictures, 0 for none (default: {RERUN_WIDTH})",
    )
    parser.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="write an overlay video: .mp4, .webm for browsers, or .avi, readable at any time",
    )
    parser.add_argument(
        "--caption",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="write frame and origin of the pose on the overlay, and outline the region",
    )
    parser.add_argument("--show", action="store_true", help="show a live window (q ends it)")
    parser.add_argument(
        "--preview",
        nargs="?",
        const="",
        metavar="HOST:PORT",
        help="show a page in a browser, whose address is printed (default: 127.0.0.1:8090; another "
        "host needs a token in the variable EDGEPOSE_PREVIEW_TOKEN)",
    )


class Outputs:
    """The files, the window and the preview that were asked for; each may be missing."""

    def __init__(
        self,
        files: Sequence[ResultFile],
        rerun: RerunSink | None,
        video: VideoSink | TimedVideo | None,
        window: Window | None,
        preview: SourcePreview | None,
        style: DrawingStyle,
    ) -> None:
        self._files, self._rerun = files, rerun
        self._video, self._window = video, window
        self._style = style
        self.preview = preview

    def write(self, frame: NDArray[np.uint8], result: PoseResult) -> bool:
        """Write one result everywhere; return whether the user wants to go on."""
        for file in self._files:
            file.write(result)
        if self._rerun is not None:
            self._rerun.write(result, frame)
        if self.preview is not None:
            self.preview.write(frame, result)
        if self._video is None and self._window is None:
            return True
        overlay = draw_result(frame, result, self._style)
        if isinstance(self._video, TimedVideo):
            self._video.write(overlay, result.timestamp_ms)
        elif self._video is not None:
            self._video.write(overlay)
        return self._window is None or self._window.show(overlay)


def check_outputs(args: argparse.Namespace) -> None:
    """Refuse files that cannot be written, before anything is done or changed.

    Raises:
        ConfigError: a file would replace the source or the other file.
        OutputError: a file cannot be written.
    """
    used = {"the source": resolved(args.source)}
    if args.jsonl == args.csv == STDOUT:
        raise ConfigError("--jsonl - and --csv - both write to stdout; give one of them a file.")
    _require_extras(args)
    rerun = None if args.rerun is None or is_viewer(args.rerun) else Path(args.rerun)
    files = {name: getattr(args, name) for name in ("jsonl", "csv", "parquet", "video")}
    for option, path in {**files, "rerun": rerun}.items():
        if path is None or (option in ("jsonl", "csv") and path == STDOUT):
            continue
        for what, other in used.items():
            if resolved(path) == other:
                raise ConfigError(f"--{option} {path} is {what}; give another file.")
        check_writable(path)
        used[f"also --{option}"] = resolved(path)


def _require_extras(args: argparse.Namespace) -> None:
    if args.parquet == STDOUT:
        raise ConfigError("--parquet writes a file, not stdout; give it a name.")
    if args.parquet is not None:
        require_packages("track --parquet", "parquet", "pyarrow")
    if args.rerun is not None:
        require_packages("track --rerun", "rerun", "rerun")


@contextmanager
def open_outputs(
    args: argparse.Namespace, source: FrameSource, model: PoseModel
) -> Iterator[Outputs]:
    """Open what the options ask for, and finish it at the end of the block."""
    with ExitStack() as opened:
        window = None
        video: VideoSink | TimedVideo | None = None
        if args.show:
            from edgepose.cli.tracking.window import Window

            window = opened.enter_context(closing(Window(f"edgepose: {source.name}")))
        if args.video:
            video = _open_video(args.video, source)
            opened.enter_context(video)
        files = _open_files(args, source, model, opened)
        rerun = None if args.rerun is None else opened.enter_context(_open_rerun(args, model))
        preview = None
        if args.preview is not None:
            from edgepose.cli.tracking.preview import open_preview

            preview = opened.enter_context(open_preview(args.preview, source))
        style = DEBUG_STYLE if args.caption else DEFAULT_STYLE
        yield Outputs(files, rerun, video, window, preview, style)


def _open_files(
    args: argparse.Namespace, source: FrameSource, model: PoseModel, opened: ExitStack
) -> list[ResultFile]:
    def target(path: Path) -> Path | BinaryIO:
        return opened.enter_context(_unbuffered_stdout()) if path == STDOUT else path

    files: list[ResultFile] = []
    several = people_settings(args.max_people) is not None
    engine = {"device": model.device, "precision": model.precision}
    if args.jsonl:
        jsonl = JsonlSink(
            target(args.jsonl),
            skeleton=model.skeleton,
            model=model.name,
            source=source.name,
            engine=engine,
            several=several,
        )
        files.append(opened.enter_context(jsonl))
    if args.csv:
        csv = CsvSink(target(args.csv), skeleton=model.skeleton, several=several)
        files.append(opened.enter_context(csv))
    if args.parquet:
        facts = {"model": model.name, "engine": engine}
        parquet = ParquetSink(
            args.parquet, skeleton=model.skeleton, video=source.name, metadata=facts
        )
        files.append(opened.enter_context(parquet))
    return files


def _open_rerun(args: argparse.Namespace, model: PoseModel) -> RerunSink:
    return RerunSink(
        args.rerun, skeleton=model.skeleton, name=model.name, image_width=args.rerun_width or None
    )


def _open_video(path: Path, source: FrameSource) -> VideoSink | TimedVideo:
    """Return a video of a file's frames, or one that keeps the time where frames may be missing."""
    fps = source.fps or DEFAULT_FPS
    if not source.is_live:
        return VideoSink(path, fps=fps)
    return TimedVideo(path.with_suffix(""), path.suffix, fps=min(fps, MOST_LIVE_FPS))


def _unbuffered_stdout() -> BinaryIO:
    """Return standard output without a buffer, which a broken pipe would leave to Python's end."""
    return os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
