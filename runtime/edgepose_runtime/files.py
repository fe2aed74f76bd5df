"""Reading files of which nobody knows what they are."""

from __future__ import annotations

from pathlib import Path

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.redaction import redact

# A sentence with a name in it stays one that people read.
_LONGEST_SHOWN = 200


def as_path(path: object) -> Path:
    """Return a path that is given as text or as a path.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(path, (str, Path)):
        return Path(path)
    raise ConfigError(f"A path is text or a pathlib.Path; got {path!r}.")


def exists(path: Path) -> bool:
    """Return whether something lies at a path; a name that no file can have is nothing.

    Such as one that is too long, or with a NUL in it: pathlib raises for some of them.
    """
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_printable_utf8(text: str) -> bool:
    """Return whether a text can be handed to libraries in C, which others crash or cut short.

    Python holds bytes of a command line that are not UTF-8 as lone surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not any(character < " " or character == "\x7f" for character in text)


def shown(name: str | Path) -> str:
    """Return a path or address as a message may show it: no password, no control characters."""
    text = redact(str(name))
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
    return text if is_printable_utf8(text) else ascii(text)[1:-1]
