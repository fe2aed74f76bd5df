"""A small HTTP server with bounds on everything, on a thread of its own.

One request for each connection; a request has to be whole in time, and may not be large. A viewer
who takes nothing for too long is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from edgepose.preview.settings import PreviewSettings
from edgepose.preview.viewers import ViewerCounts
from edgepose.preview.web.requests import (
    LARGEST_HEAD,
    BadRequestError,
    Request,
    Response,
    encode_head,
    parse_request,
)
from edgepose.utils.priority import give_way
from edgepose_runtime.errors import ConfigError

logger = logging.getLogger("edgepose")

#: Seconds for a request to come in, and for a viewer to take what it was sent.
REQUEST_S, TAKING_S = 5.0, 5.0
#: Connections at a time; further ones are closed at once.
MOST_CONNECTIONS = 64
_BACKLOG = 64
#: Bytes that the system keeps for a viewer: more would only make pictures late.
_SEND_BUFFER = 1 << 18


@dataclass(frozen=True, slots=True)
class Stream:
    """A response that goes on until the viewer leaves.

    Attributes:
        content_type: of all of it.
        chunks: pieces to send.
    """

    content_type: str
    chunks: AsyncGenerator[bytes, None]


Responder = Callable[[Request], Awaitable[Response | Stream]]


class PreviewServer:
    """Listens, reads requests, and sends what ``respond`` returns for them.

    Args:
        settings: address, TLS and limits.
        viewers: counted here.

    Attributes:
        port: at which it listens.

    Raises:
        ConfigError: the address is in use or not of this machine, or the certificate is none.
    """

    def __init__(self, settings: PreviewSettings, viewers: ViewerCounts) -> None:
        self._settings = settings
        self._viewers = viewers
        self._tls = _tls_context(settings)
        self._socket = _listen(settings)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._connections = 0

    def start(self, respond: Responder, background: Callable[[], Awaitable[None]]) -> None:
        """Serve from now on; has to be called once, before :meth:`close`.

        Args:
            respond: returns the response to a request.
            background: runs beside, on the loop's thread.
        """
        self._respond = respond
        self._thread = threading.Thread(
            target=self._run, args=(background,), name="edgepose-preview", daemon=True
        )
        self._thread.start()

    def call_soon(self, function: Callable[[], None]) -> None:
        """Have a function called on the loop's thread; nothing once it was closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End all connections and the thread; a second call does nothing."""
        self.call_soon(self._cancel_all)
        self._thread.join()

    def _run(self, background: Callable[[], Awaitable[None]]) -> None:
        give_way()
        asyncio.set_event_loop(self._loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serve(background))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._socket.close()  # also where it was cancelled before it served
            self._loop.close()

    async def _serve(self, background: Callable[[], Awaitable[None]]) -> None:
        server = await asyncio.start_server(
            self._handle, sock=self._socket, limit=LARGEST_HEAD, ssl=self._tls,
            ssl_handshake_timeout=REQUEST_S if self._tls else None,
        )  # fmt: skip
        async with server:
            await asyncio.gather(server.serve_forever(), background())

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > MOST_CONNECTIONS:
                self._viewers.refused += 1
                writer.write(Response.text(503, "Too many connections.").encode())
                return
            await self._answer(reader, writer)
        except (OSError, asyncio.TimeoutError, asyncio.CancelledError):
            writer.transport.abort()  # gone, too slow, or the preview was closed
        except Exception:  # one request must not end the server
            logger.exception("The preview failed to answer a request.")
            writer.transport.abort()
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        response = await self._response(reader)
        if isinstance(response, Response):
            writer.write(response.encode())
            await asyncio.wait_for(writer.drain(), TAKING_S)
            await _end(reader, writer)
            return
        try:
            if self._viewers.open >= self._settings.max_viewers:
                self._viewers.refused += 1
                writer.write(Response.text(503, "Too many viewers.").encode())
                return
            await self._send_stream(reader, writer, response)
        finally:
            await response.chunks.aclose()

    async def _response(self, reader: asyncio.StreamReader) -> Response | Stream:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
            return await self._respond(parse_request(head[:-4]))
        except asyncio.LimitOverrunError:
            return Response.text(431, f"A request may have {LARGEST_HEAD} bytes.")
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("The request is not whole.") from error
        except BadRequestError as error:
            return Response.text(error.status, error.reason)

    async def _send_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream
    ) -> None:
        _limit_buffers(writer)
        self._viewers.open += 1
        gone = asyncio.ensure_future(reader.read(1))
        try:
            writer.write(encode_head(200, stream.content_type))
            while (chunk := await _next_or_gone(stream.chunks, gone)) is not None:
                writer.write(chunk)
                await asyncio.wait_for(writer.drain(), TAKING_S)
        except asyncio.TimeoutError:
            self._viewers.dropped += 1
            raise
        finally:
            self._viewers.open -= 1
            gone.cancel()


async def _next_or_gone(
    chunks: AsyncGenerator[bytes, None], gone: asyncio.Future[bytes]
) -> bytes | None:
    """Return the next chunk; ``None`` after the last one, or if the viewer left before."""
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        if not coming.done():
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the client read a refusal: closing with unread input would reset the connection."""
    if writer.can_write_eof():
        writer.write_eof()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_discard(reader), 0.5)


async def _discard(reader: asyncio.StreamReader) -> None:
    for _ in range(16):
        if not await reader.read(LARGEST_HEAD):
            return


def _limit_buffers(writer: asyncio.StreamWriter) -> None:
    """Have ``drain()`` wait until nearly all was taken: what waits is late."""
    writer.transport.set_write_buffer_limits(high=1)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)


def _listen(settings: PreviewSettings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"The preview cannot listen at {settings.host}, port {settings.port}: {reason}. Give "
            "another address or port; port 0 takes a free one."
        ) from error


def _tls_context(settings: PreviewSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The certificate '{settings.tls_cert}' and its key cannot be used: {error}."
        ) from error
    return context
