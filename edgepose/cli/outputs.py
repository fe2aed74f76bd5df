"""Where ``edgepose track`` puts its results."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgepose.drawing import draw_result
from edgepose.inference.model import PoseModel
from edgepose.people.settings import people_settings
from edgepose.results import PoseResult
from edgepose.sinks import JsonlSink, VideoSink
from edgepose.utils.output_files import check_writable
from edgepose_runtime.capture import DEFAULT_FPS, FrameSource
from edgepose_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgepose.cli.preview import SourcePreview
    from edgepose.cli.window import Window


#: As ``--jsonl``, standard output.
STDOUT = Path("-")


class Outputs:
    """The files, the window and the preview that were asked for; each may be missing."""

    def __init__(
        self,
        jsonl: JsonlSink | None,
        video: VideoSink | None,
        window: Window | None,
        preview: SourcePreview | None = None,
    ) -> None:
        self._jsonl, self._video, self._window = jsonl, video, window
        self.preview = preview

    def write(self, frame: NDArray[np.uint8], result: PoseResult) -> bool:
        """Write one result everywhere; return whether the user wants to go on."""
        if self._jsonl is not None:
            self._jsonl.write(result)
        if self.preview is not None:
            self.preview.write(frame, result)
        if self._video is None and self._window is None:
            return True
        overlay = draw_result(frame, result)
        if self._video is not None:
            self._video.write(overlay)
        return self._window is None or self._window.show(overlay)


def check_outputs(args: argparse.Namespace) -> None:
    """Refuse files that cannot be written, before anything is done or changed.

    Raises:
        ConfigError: a file would replace the source or the other file.
        OutputError: a file cannot be written.
    """
    used = {"the source": Path(args.source).resolve()}
    for option in ("jsonl", "video"):
        path: Path | None = getattr(args, option)
        if path is None or (option == "jsonl" and path == STDOUT):
            continue
        for what, other in used.items():
            if path.resolve() == other:
                raise ConfigError(f"--{option} {path} is {what}; give another file.")
        check_writable(path)
        used[f"also --{option}"] = path.resolve()


@contextmanager
def open_outputs(
    args: argparse.Namespace, source: FrameSource, model: PoseModel
) -> Iterator[Outputs]:
    """Open what the options ask for, and finish it at the end of the block."""
    with ExitStack() as opened:
        window = video = jsonl = None
        if args.show:
            from edgepose.cli.window import Window

            window = opened.enter_context(closing(Window(f"edgepose: {source.name}")))
        if args.video:
            video = opened.enter_context(VideoSink(args.video, fps=source.fps or DEFAULT_FPS))
        if args.jsonl:
            sink = JsonlSink(
                opened.enter_context(_unbuffered_stdout()) if args.jsonl == STDOUT else args.jsonl,
                skeleton=model.skeleton,
                model=model.name,
                source=source.name,
                engine={"device": model.device, "precision": model.precision},
                several=people_settings(args.max_people) is not None,
            )
            jsonl = opened.enter_context(sink)
        preview = None
        if args.preview is not None:
            from edgepose.cli.preview import open_preview

            preview = opened.enter_context(open_preview(args.preview, source))
        yield Outputs(jsonl, video, window, preview)


def _unbuffered_stdout() -> BinaryIO:
    """Return standard output without a buffer, which a broken pipe would leave to Python's end."""
    return os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
