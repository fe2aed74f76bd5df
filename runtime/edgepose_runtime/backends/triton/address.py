"""Addresses of models on inference servers."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import is_printable_utf8, shown
from edgepose_runtime.redaction import redact

#: What an address begins with, and whether the connection is encrypted.
SCHEMES = {"grpc": False, "grpcs": True}
DEFAULT_PORT = 8001


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is.

    Attributes:
        host: name or number.
        port: of gRPC.
        tls: whether the connection is encrypted.
        model: name of the model, if the address has one.
    """

    host: str
    port: int
    tls: bool
    model: str | None = None

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read ``grpc://HOST:PORT`` or ``grpcs://HOST:PORT``, and ``/MODEL`` if there is one.

        Raises:
            ConfigError: it is no such address.
        """
        if not isinstance(text, str):
            raise ConfigError(f"A server's address is text; got {text!r}.")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        is_address = host is not None and parts.scheme in SCHEMES and is_printable_utf8(text)
        if host is None or not is_address or parts.query or parts.fragment:
            raise ConfigError(
                f"A server's address looks like grpc://host:8001 or grpcs://host:8001/model; got "
                f"'{shown(text)}'."
            )
        if parts.username is not None:
            raise ConfigError(
                "A server's address has no user or password in it; give a token by itself: "
                f"{redact(text)}"
            )
        return cls(host, port or DEFAULT_PORT, SCHEMES[parts.scheme], parts.path.strip("/") or None)

    @property
    def target(self) -> str:
        """As gRPC wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        scheme = "grpcs" if self.tls else "grpc"
        return f"{scheme}://{self.target}{'' if self.model is None else '/' + self.model}"
