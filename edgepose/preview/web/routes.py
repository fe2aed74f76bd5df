"""What is at which path of the preview."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import cache
from pathlib import Path

from edgepose.preview.broadcast import EventBroadcast, PictureBroadcast, encode_event
from edgepose.preview.health import Health
from edgepose.preview.pictures import PictureEncoder
from edgepose.preview.reports import Reporter
from edgepose.preview.sources import SourceTable
from edgepose.preview.viewers import ViewerCounts
from edgepose.preview.web.access import Access
from edgepose.preview.web.requests import Request, Response
from edgepose.preview.web.server import Stream

_PAGE = Path(__file__).parents[1] / "page"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_BOUNDARY = "edgepose-picture"
#: How long a single picture is waited for, in seconds.
_PICTURE_S = 3.0
_MJPEG, _JPEG, _STREAM = "mjpg", "jpg", "/stream/"


class Routes:
    """Answers requests.

    Args:
        access: checks them first.
        sources: what is known of the sources.
        encoder: told who looks at what.
        pictures: where the pictures come from.
        events: where events and results come from.
        reporter: the history for a new page.
        health: for supervisors.
        viewers: counted by the server, for the metrics.
    """

    def __init__(
        self,
        access: Access,
        sources: SourceTable,
        encoder: PictureEncoder,
        pictures: PictureBroadcast,
        events: EventBroadcast,
        reporter: Reporter,
        health: Health,
        viewers: ViewerCounts,
    ) -> None:
        self._access = access
        self._sources = sources
        self._encoder = encoder
        self._pictures = pictures
        self._events = events
        self._reporter = reporter
        self._health = health
        self._viewers = viewers

    async def respond(self, request: Request) -> Response | Stream:
        """Return the response to a request."""
        refused = self._access.refusal(request) or self._access.redirect(request)
        if refused is not None:
            return refused
        if request.path in _FILES:
            name, content_type = _FILES[request.path]
            return Response(200, _file(name), content_type)
        if request.path.startswith(_STREAM):
            return await self._picture(request.path.removeprefix(_STREAM))
        return self._information(request)

    def _information(self, request: Request) -> Response | Stream:
        if request.path == "/events":
            first = encode_event("history", self._reporter.history())
            wants_results = request.query.get("results") != "0"
            messages = self._events.messages(results=wants_results, first=first)
            return Stream("text/event-stream", messages)
        if request.path == "/metrics":
            return self._metrics_page()
        if request.path == "/livez":
            return _yes_or_no(self._health.is_alive())
        if request.path == "/readyz":
            return _yes_or_no(self._health.is_ready(self._sources))
        return Response.text(404, "There is nothing at this address.")

    def _metrics_page(self) -> Response:
        try:
            from edgepose.preview.metrics import render_metrics
        except ImportError:
            return Response.text(
                501, 'Metrics need the package prometheus_client: pip install "edgepose[metrics]"'
            )
        page = render_metrics(self._sources, self._health, self._viewers)
        return Response(200, page, "text/plain; version=0.0.4; charset=utf-8")

    async def _picture(self, file: str) -> Response | Stream:
        name, _, ending = file.rpartition(".")
        if self._sources.find(name) is None or ending not in (_MJPEG, _JPEG):
            return Response.text(404, "There is no source of this name.")
        if ending == _JPEG:
            return await self._single_picture(name)
        content_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return Stream(content_type, self._parts(name))

    async def _single_picture(self, name: str) -> Response:
        pictures = self._jpegs(name)
        try:
            jpeg = await asyncio.wait_for(anext(pictures), _PICTURE_S)
        except asyncio.TimeoutError:
            return Response.text(503, "No frames come from this source at present.")
        finally:
            await pictures.aclose()
        return Response(200, jpeg, "image/jpeg")

    async def _parts(self, name: str) -> AsyncGenerator[bytes, None]:
        yield f"--{_BOUNDARY}\r\n".encode()
        pictures = self._jpegs(name)
        try:
            async for jpeg in pictures:
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                # The boundary comes with the picture: browsers show it when they see its end.
                yield head + jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
        finally:
            await pictures.aclose()

    async def _jpegs(self, name: str) -> AsyncGenerator[bytes, None]:
        """Yield the newest picture whenever there is a new one; it is encoded only meanwhile."""
        self._encoder.watch(name)
        try:
            shown = self._pictures.number(name)
            while True:
                shown, jpeg = await self._pictures.next(name, shown)
                yield jpeg
        finally:
            if not self._encoder.unwatch(name):
                self._pictures.forget(name)


def _yes_or_no(answer: bool) -> Response:
    return Response.text(200, "ok") if answer else Response.text(503, "not ok")


@cache
def _file(name: str) -> bytes:
    return (_PAGE / name).read_bytes()
