"""JSON Lines in a series of files, each complete and readable by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from edgepose.results import PoseResult
from edgepose.service.config import JsonlConfig
from edgepose.sinks import JsonlSink
from edgepose.utils.output_files import make_folder
from edgepose_runtime.closable import Closable

_MEGABYTE = 1_000_000


class RotatingJsonl(Closable):
    """Writes results of one camera to a file, and begins the next where it is too large or old.

    Files are named ``CAMERA-20260131T235959.123Z.jsonl`` after the time, in UTC, at which they
    begin. For one thread at a time.

    Args:
        config: folder and limits.
        camera: name of the camera.
        open_sink: opens a file.
        clock: seconds since 1970.

    Raises:
        OutputError: there is no such folder, and it cannot be made.
    """

    def __init__(
        self,
        config: JsonlConfig,
        camera: str,
        open_sink: Callable[[Path], JsonlSink],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._camera = camera
        self._open_sink = open_sink
        self._clock = clock
        self._folder = Path(config.folder)
        self._sink: JsonlSink | None = None
        self._began_s = 0.0
        make_folder(self._folder)

    def write(self, result: PoseResult) -> None:
        """Append a result.

        Raises:
            OutputError: the disk is full or gone. Lines written before stay readable.
        """
        if self._sink is not None and self._is_full(self._sink):
            self.close()
        if self._sink is None:
            self._sink = self._begin()
        self._sink.write(result)

    def close(self) -> None:
        """Close the file; a result that comes later begins another."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _is_full(self, sink: JsonlSink) -> bool:
        age_s = self._clock() - self._began_s
        large = sink.size >= self._config.max_megabytes * _MEGABYTE
        # A clock that was set back must not keep a file open for years.
        return large or not 0 <= age_s < self._config.max_minutes * 60

    def _begin(self) -> JsonlSink:
        self._began_s = self._clock()
        began = datetime.fromtimestamp(self._began_s, timezone.utc)
        stamp = began.strftime("%Y%m%dT%H%M%S.") + f"{began.microsecond // 1000:03d}Z"
        sink = self._open_sink(self._folder / f"{self._camera}-{stamp}.jsonl")
        self._delete_old()
        return sink

    def _delete_old(self) -> None:
        """Delete all but the newest files of this camera, whose number the new one completes."""
        if not self._config.keep_files:
            return
        own = re.compile(re.escape(self._camera) + r"-\d{8}T\d{6}\.\d{3}Z\.jsonl")
        files = sorted(path for path in self._folder.iterdir() if own.fullmatch(path.name))
        kept = self._config.keep_files - 1
        for path in files[: len(files) - kept]:
            path.unlink(missing_ok=True)
