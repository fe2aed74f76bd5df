"""User names and passwords stay out of names, logs and errors."""

from __future__ import annotations

import re

HIDDEN = "***"

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(\S+)")
# Cameras take them in the query, and some in the path: rtsp://10.0.0.7/user=admin&password=x&channel=1
_SECRET = re.compile(
    r"((?:^|[/?&;])[^=/?&;]*"
    r"(?:user|usr|login|name|pass|pwd|pswd|token|auth|key|secret|sig|credential)[^=/?&;]*=)[^&;]*",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return a text in which the addresses have no user, password or token any more.

    ``rtsp://admin:secret@10.0.0.7/live?token=abc`` becomes ``rtsp://***@10.0.0.7/live?token=***``.
    Where it is not clear what belongs to a password, more is hidden rather than less.
    """
    return _ADDRESS.sub(lambda found: found[1] + _redact_rest(found[2]), text)


def _redact_rest(rest: str) -> str:
    """Redact what follows ``://``."""
    before, at, after = rest.rpartition("@")
    # Nobody forces people to escape the /, ?, # and @ in a password; a path may have an @ too.
    if not at or (":" not in before and re.search(r"[/?#]", before)):
        return _SECRET.sub(rf"\1{HIDDEN}", rest)
    return f"{HIDDEN}@" + _SECRET.sub(rf"\1{HIDDEN}", after)
