"""The preview: a sink for results, and a page that shows them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgepose.pool import TrackerPool
from edgepose.preview.broadcast import EventBroadcast, PictureBroadcast, encode_event
from edgepose.preview.health import Health
from edgepose.preview.pictures import PictureEncoder
from edgepose.preview.reports import TICK_S, Reporter
from edgepose.preview.settings import PreviewSettings
from edgepose.preview.sources import SourceTable
from edgepose.preview.viewers import ViewerCounts
from edgepose.preview.web.access import Access
from edgepose.preview.web.routes import Routes
from edgepose.preview.web.server import PreviewServer
from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose.stats import TrackerStats
from edgepose.tracker import PoseTracker
from edgepose_runtime.closable import Closable
from edgepose_runtime.events import StreamEvent

logger = logging.getLogger("edgepose")

DEFAULT_SOURCE = "camera"


class Preview(Closable):
    """Shows results in a browser, while trackers go on at their own pace.

    Of one source::

        with edgepose.Preview() as preview, edgepose.PoseTracker() as tracker:
            print(preview.url)
            for frame, result in tracker.stream("rtsp://camera/1", with_frames=True):
                preview.write(frame, result)

    Of several, with everything that happens to them::

        with edgepose.Preview() as preview, edgepose.TrackerPool(
            on_frame=preview.on_frame,
            on_drop=preview.on_drop,
            on_error=preview.on_error,
            on_event=preview.on_event,
        ) as pool:
            preview.watch(pool)
            pool.add("rtsp://camera/1", "door")
            pool.wait()

    Methods take microseconds, and may be called from any thread: a frame goes into a mailbox for
    one, results are counted. Pictures are drawn and encoded on another thread, once for all
    viewers, only while somebody looks, and in at most a quarter of one core's time. A viewer who is
    too slow skips pictures, and is dropped when it takes nothing for five seconds.

    Only programs on this machine can connect, and only with the token in :attr:`url`, unless the
    settings say otherwise.

    Args:
        settings: address, token, rate and size of the pictures.

    Raises:
        ConfigError: the address is in use or not of this machine, or the certificate is none.
    """

    def __init__(self, settings: PreviewSettings | None = None) -> None:
        settings = settings or PreviewSettings()
        self.viewers = ViewerCounts()
        self._server = PreviewServer(settings, self.viewers)
        self._access = Access(settings, self._server.port)
        self._sources = SourceTable()
        self._health = Health()
        self._reporter = Reporter(self._sources)
        self._events = EventBroadcast()
        self._pictures = PictureBroadcast()
        self._encoder = PictureEncoder(settings, self._publish)
        self._closed = False
        routes = Routes(
            self._access,
            self._sources,
            self._encoder,
            self._pictures,
            self._events,
            self._reporter,
            self._health,
            self.viewers,
        )
        self._server.start(routes.respond, self._report)
        if not settings.is_local and settings.tls_cert is None:
            logger.warning(
                "The preview at %s is reachable without TLS: pictures and token can be read on the "
                "way. Give tls_cert and tls_key, or put a proxy with TLS before it.",
                settings.host,
            )

    @property
    def url(self) -> str:
        """The address to open in a browser; a random token is part of it."""
        return self._access.url

    def watch(self, tracked: PoseTracker | TrackerPool, source: str = DEFAULT_SOURCE) -> None:
        """Show the statistics of a pool or of a tracker, such as those of a remote head.

        They are also what ``/livez`` knows from whether frames that wait are being done.

        Args:
            tracked: what tracks.
            source: name of a tracker's source.
        """

        def stats() -> Mapping[str, TrackerStats]:
            found = tracked.stats
            return {source: found} if isinstance(found, TrackerStats) else found

        self._health.watch(stats)

    def write(
        self, frame: NDArray[np.uint8], result: PoseResult, source: str = DEFAULT_SOURCE
    ) -> None:
        """Show a result on its frame.

        Args:
            frame: uint8 BGR (H, W, 3), or another that the tracker takes; copied if it is shown.
            result: of this frame.
            source: where the frame comes from.
        """
        monitor = self._sources.monitor(source)
        monitor.add_result(result)
        self._events.put_result(monitor.name, result)
        self._encoder.offer(monitor.name, frame, result)  # last: it wakes a thread

    def on_frame(self, source: str, frame: NDArray[np.uint8], result: PoseResult) -> None:
        """Do the same as :meth:`write`, as the ``on_frame`` of a pool."""
        self.write(frame, result, source)

    def on_drop(self, source: str, drop: FrameDrop) -> None:
        """Count a frame that was dropped."""
        self._sources.monitor(source).add_drop(drop)

    def on_error(self, source: str, failure: TrackingFailure) -> None:
        """Count and show an error, which is so handled; log it."""
        logger.error("%s: %s", self._sources.monitor(source).name, failure.error)
        self.count_error(source, failure)

    def count_error(self, source: str, failure: TrackingFailure) -> None:
        """Count and show an error."""
        self._events.put_event(self._sources.monitor(source).add_failure(failure))

    def on_event(self, source: str, event: StreamEvent) -> None:
        """Show an event."""
        self._events.put_event(self._sources.monitor(source).add_event(event))

    def close(self) -> None:
        """End all connections and threads; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._encoder.close()
        self._server.close()

    def _publish(self, source: str, jpeg: bytes) -> None:
        self._server.call_soon(lambda: self._pictures.publish(source, jpeg))

    async def _report(self) -> None:
        """Tell everybody twice a second how it goes."""
        while True:
            await asyncio.sleep(TICK_S)
            viewers = {"open": self.viewers.open, "dropped": self.viewers.dropped}
            report = {**self._reporter.tick(), "viewers": viewers}
            self._events.publish(encode_event("state", report))
