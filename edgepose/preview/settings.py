"""Where the preview listens, who may look, and what it may cost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgepose_runtime.checks import is_finite_number, require_whole
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import read_regular, shown

#: The variable with the token, and the variable with the path of a file that holds it.
TOKEN, TOKEN_FILE = "EDGEPOSE_PREVIEW_TOKEN", "EDGEPOSE_PREVIEW_TOKEN_FILE"
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8090
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_SHORTEST_TOKEN = 16
_LARGEST_TOKEN_FILE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSettings:
    """Settings of a :class:`~edgepose.preview.Preview`.

    Attributes:
        host: the address to listen at. Another one than that of this machine needs a ``token``.
        port: 0 for one that is free.
        token: what a viewer has to present, 16 visible ASCII characters or more; ``None`` for a
            random one, which is in the printed address.
        max_fps: pictures per second of each source, at most.
        max_width: width of the pictures in pixels, at most.
        quality: of the JPEG pictures, from 1 to 100.
        max_viewers: open picture and event streams, at most; further ones are refused.
        allowed_hosts: names by which browsers may address this machine, other than its own name
            and its addresses. Others are refused, against DNS rebinding.
        tls_cert: PEM file with the certificate and its chain, for HTTPS.
        tls_key: PEM file with its private key.

    Raises:
        ConfigError: a value cannot be used, or ``host`` is reachable from outside without a token.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    max_fps: float = 15.0
    max_width: int = 960
    quality: int = 80
    max_viewers: int = 16
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: str | Path | None = None
    tls_key: str | Path | None = None

    def __post_init__(self) -> None:
        require_whole(self, ("port",), 0)
        require_whole(self, ("max_viewers", "quality"), 1)
        require_whole(self, ("max_width",), 16)
        if self.port > 65535 or self.quality > 100:
            raise ConfigError(
                f"port goes up to 65535 and quality to 100; got {self.port} and {self.quality}."
            )
        if not (is_finite_number(self.max_fps) and 0 < self.max_fps <= 120):
            raise ConfigError(f"max_fps must be a number above 0, up to 120; got {self.max_fps!r}.")
        if not self.host:
            raise ConfigError(f"host must be an address such as 127.0.0.1; got {self.host!r}.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("tls_cert and tls_key belong together; give both, or neither.")
        self._check_token()

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can connect."""
        return self.host in LOOPBACK

    def _check_token(self) -> None:
        if self.token is None:
            if not self.is_local:
                raise ConfigError(
                    f"The preview at {self.host} could be reached from other machines: set a token "
                    f"of your own in the variable {TOKEN}, or put it in a file and its path in "
                    f"{TOKEN_FILE}."
                )
            return
        visible = all("!" <= character <= "~" for character in self.token)
        if not visible or len(self.token) < _SHORTEST_TOKEN:
            raise ConfigError(
                f"The token of the preview must have {_SHORTEST_TOKEN} or more visible ASCII "
                "characters, and no spaces."
            )


def token_from(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the user's token from the environment or from a file; ``None`` without one.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    token, path = environment.get(TOKEN), environment.get(TOKEN_FILE)
    if token or not path:
        return token or None
    return read_token(path)


def read_token(path: str | Path) -> str:
    """Return the token that a file holds, without white space around it.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    try:
        token = read_regular(path, _LARGEST_TOKEN_FILE).decode().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"The token file {shown(path)} cannot be read: {error}.") from error
    if not token:
        raise ConfigError(f"The token file {shown(path)} is empty.")
    return token


def parse_address(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, ``HOST``, ``:PORT`` or ``[IPV6]:PORT``.

    Raises:
        ConfigError: it is none of them.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if (port and not (port.isascii() and port.isdecimal())) or "/" in host or "@" in host:
        raise ConfigError(
            "The preview listens at an address such as 127.0.0.1:8090, and a token has no place in "
            f"it: {TOKEN} has it; got {text!r}."
        )
    return host.strip("[]") or DEFAULT_HOST, int(port) if port else DEFAULT_PORT
