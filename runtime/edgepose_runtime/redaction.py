"""User names and passwords stay out of names, logs and errors.

Every :class:`~edgepose_runtime.errors.EdgePoseError` redacts its own message, so that only names,
logs and other programs' errors need a call of :func:`redact`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
#: Characters of what another program says that a message repeats, at most.
LONGEST_QUOTED = 500

# Paths make one slash of two. Nobody can tell where an address ends: passwords hold spaces, too.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:/+)(.*)", re.DOTALL)
# user:password@host without a scheme: at the beginning, in quotes, or as a word; no C:\clips\a@b.
_BARE = re.compile(
    r"(\A|(?<=['\"])|(?<=[\s(=,])(?=[^\s:]*:\S)|(?<=//))(?![A-Za-z]:\\)[^\s:/'\"]*:.*@", re.DOTALL
)
# Cameras take them in the query, and some in the path: rtsp://10.0.0.7/user=admin&password=x&channel=1
_SECRET = re.compile(
    r"((?:^|[/?&;#])[^=/?&;#]*"
    r"(?:user|usr|login|name|pass|pwd|pswd|token|auth|key|secret|sig|credential)[^=/?&;#]*=)"
    rf"(?!{re.escape(HIDDEN)}(?:[\s&;'\"]|$))[^&;]*",
    re.IGNORECASE,
)
# Others have rtsp://10.0.0.7/admin:secret/live.
_PAIR = re.compile(r"(?<=/)[^/?&;=\s'\"]*:(?=\S)[^/?&;]*")


def printable(text: str, longest: int = LONGEST_QUOTED) -> str:
    """Return what another program says as a log or a terminal may show it.

    Control characters, with which a terminal can be taken over, and lone surrogates are escaped;
    the rest of a long text is left out.
    """
    shortened = text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in shortened
    )


def redact(text: str) -> str:
    """Return a text in which the addresses have no user, password or token any more.

    ``rtsp://admin:secret@10.0.0.7/live?token=abc`` becomes ``rtsp://***@10.0.0.7/live?token=***``.
    Where it is not clear what belongs to a password, more is hidden rather than less: all before
    the last ``@`` of the text. A second call changes nothing more.
    """
    found = _ADDRESS.search(text)
    if found is None:
        return _BARE.sub(f"{HIDDEN}@", text)
    before = text[: found.start()]
    return _BARE.sub(f"{HIDDEN}@", before) + found[1] + _redact_rest(found[2])


def redact_words(text: str, words: Iterable[str]) -> str:
    """Return a text without what is secret in these words, as they stand or in their ``repr``.

    For messages of other programs that quote the words of a command line.
    """
    for word in sorted(words, key=len, reverse=True):
        shown = redact(word)
        if shown != word:
            text = text.replace(word, shown).replace(repr(word)[1:-1], shown)
    return text


def _redact_rest(rest: str) -> str:
    """Redact what follows ``://``."""
    before, at, after = rest.rpartition("@")
    # Nobody forces people to escape the /, ?, # and @ in a password; a path may have an @ too.
    if not at or (":" not in before and re.search(r"[/?#]", before)):
        return _redact_path(rest)
    return f"{HIDDEN}@{_redact_path(after)}"


def _redact_path(text: str) -> str:
    return _PAIR.sub(HIDDEN, _SECRET.sub(rf"\1{HIDDEN}", text))
