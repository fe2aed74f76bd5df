"""``--preview``: a page in a browser for the one source of a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.preview import Preview, PreviewSettings
from edgepose.preview.settings import parse_address, token_from
from edgepose.results import PoseResult
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.events import StreamEvent


@dataclass(frozen=True, slots=True)
class SourcePreview:
    """A preview with the name of the source that it shows."""

    preview: Preview
    source: str

    def write(self, frame: NDArray[np.uint8], result: PoseResult) -> None:
        """Show a result on its frame."""
        self.preview.write(frame, result, self.source)

    def on_event(self, event: StreamEvent) -> None:
        """Show an event."""
        self.preview.on_event(self.source, event)

    def watch(self, tracker: PoseTracker) -> None:
        """Show the statistics of a tracker."""
        self.preview.watch(tracker, self.source)


@contextmanager
def open_preview(address: str, source: FrameSource) -> Iterator[SourcePreview]:
    """Open the page at ``HOST:PORT``, say where it is, and close it at the end of the block.

    Raises:
        ConfigError: the address is none, is in use, or needs a token.
    """
    host, port = parse_address(address)
    settings = PreviewSettings(host=host, port=port, token=token_from())
    with Preview(settings) as preview:
        sys.stderr.write(f"edgepose: The preview is at {preview.url}\n")
        shown = SourcePreview(preview, source.name)
        source.subscribe(shown.on_event)
        yield shown
