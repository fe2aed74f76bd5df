"""Which remote head, and when it is used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal, get_args

from edgepose_runtime.backends.triton import ServerAddress, ServerSettings
from edgepose_runtime.checks import is_finite_number, require_whole
from edgepose_runtime.errors import ConfigError

#: What the bundle's own head is for beside a remote one: to step in while that is away, or nothing.
HeadLocal = Literal["fallback", "never"]
LOCAL: tuple[HeadLocal, ...] = get_args(HeadLocal)
#: The variable with the token that programs present to the server of a remote head.
HEAD_TOKEN = "EDGEPOSE_HEAD_TOKEN"


@dataclass(frozen=True, slots=True)
class RemoteHead:
    """A heavy head on an inference server (Open Inference Protocol v2 over gRPC, such as Triton).

    Example:
        >>> head = RemoteHead("grpc://127.0.0.1:8001", server=edgepose.ServerSettings(deadline_s=2))
        >>> tracker = edgepose.PoseTracker("ppn-swift", head=head, reinitialise_every=10)
        >>> tracker.close()

    Attributes:
        address: ``grpc://host:8001`` or, encrypted, ``grpcs://host:8001``: the server has this
            bundle's own head. With ``/model`` at the end: another network for the same joints and
            crops.
        sha256: hash of that other network's graph; ``None`` to take any with such tensors.
        server: token, certificates, deadline and recovery.
        remembered: frames that are kept to propagate an answer through; a later one is dropped.
        least_trusted: send a request when less than this part of the joints is trusted, 0 to 1.
        shortest_gap: frames between two such requests at least.

    Raises:
        ConfigError: a value is outside of its range, or the address is none.
    """

    address: str
    sha256: str | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    remembered: int = 20
    least_trusted: float = 0.7
    shortest_gap: int = 10

    def __post_init__(self) -> None:
        ServerAddress.parse(self.address)
        if self.sha256 is not None and not isinstance(self.sha256, str):
            raise ConfigError(f"sha256 must be text or None; got {self.sha256!r}.")
        if not isinstance(self.server, ServerSettings):
            raise ConfigError(f"server must be ServerSettings(...); got {self.server!r}.")
        require_whole(self, ("remembered", "shortest_gap"), 1)
        if not is_finite_number(self.least_trusted) or not 0 <= self.least_trusted <= 1:
            raise ConfigError(f"least_trusted must be from 0 to 1; got {self.least_trusted!r}.")


def head_with_token(address: str | None) -> RemoteHead | None:
    """Return the head at an address, with the token of :data:`HEAD_TOKEN`; ``None`` for ``None``.

    The token is no option of a command, which others could read.
    """
    if address is None:
        return None
    return RemoteHead(address, server=ServerSettings(token=os.environ.get(HEAD_TOKEN)))


def remote_head(head: str | RemoteHead | None, local: object) -> RemoteHead | None:
    """Return the settings that the options of a tracker stand for.

    Raises:
        ConfigError: an option has no such value.
    """
    if not isinstance(local, str) or local not in LOCAL:
        raise ConfigError(f"head_local must be {' or '.join(map(repr, LOCAL))}; got {local!r}.")
    if head is None or isinstance(head, RemoteHead):
        return head
    if not isinstance(head, str):
        raise ConfigError(
            "head must be an address such as 'grpc://host:8001', a RemoteHead or None; got "
            f"{head!r}."
        )
    return RemoteHead(head)
