"""HTTP requests and responses of the preview: GET without a body, one for each connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, unquote

#: Bytes of a request line with all header lines, at most.
LARGEST_HEAD = 8192
_MOST_HEADERS = 64
#: The page takes nothing from elsewhere, is in no frame, and its address goes nowhere.
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Connection": "close",
}


class BadRequestError(Exception):
    """What was sent is no request that the preview answers.

    Args:
        status: of the response.
        reason: a sentence for its body.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    """A GET request.

    Attributes:
        path: with its percent escapes resolved, without the query.
        query: values by name.
        headers: values by name in lower case.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def cookies(self) -> dict[str, str]:
        """Values by name; none where the header is damaged."""
        try:
            cookies = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: unquote(morsel.value) for name, morsel in cookies.items()}


def parse_request(head: bytes) -> Request:
    """Read the head of a request, up to its empty line.

    Raises:
        BadRequestError: it is damaged, or no GET.
    """
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(400, "This is no HTTP/1 request.")
    if words[0] != "GET":
        raise BadRequestError(405, "The preview answers GET only.")
    if not words[1].startswith("/"):
        raise BadRequestError(400, "The address must be a path.")
    path, _, query = words[1].partition("?")
    return Request(unquote(path), dict(parse_qsl(query)), _headers(lines[1:]))


def _headers(lines: list[str]) -> dict[str, str]:
    filled = [line for line in lines if line]
    if len(filled) > _MOST_HEADERS:
        raise BadRequestError(431, "The request has too many headers.")
    headers: dict[str, str] = {}
    for line in filled:
        name, colon, value = line.partition(":")
        name = name.lower()
        # Two names of the host, or a folded line, are how proxies are deceived.
        if not colon or not name or name != name.strip() or (name == "host" and name in headers):
            raise BadRequestError(400, "A header is damaged.")
        headers[name] = value.strip()
    return headers


@dataclass(frozen=True, slots=True)
class Response:
    """A response that is sent whole.

    Attributes:
        status: such as 200.
        body: the content.
        content_type: of the body.
        headers: besides those that every response has.
    """

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, status: int, sentence: str) -> Response:
        """Return a response of one line."""
        return cls(status, f"{sentence}\n".encode())

    def encode(self) -> bytes:
        """Return the bytes to send."""
        length = {"Content-Length": str(len(self.body)), **self.headers}
        return encode_head(self.status, self.content_type, length) + self.body


def encode_head(status: int, content_type: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return status line and headers of a response, up to the empty line."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {content_type}"]
    own = {"Allow": "GET"} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
    every = {**_SECURITY_HEADERS, **own, **(headers or {})}
    lines += [f"{name}: {value}" for name, value in every.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
