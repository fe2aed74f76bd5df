"""Reading files of which nobody knows what they are."""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.redaction import redact

#: Texts with settings or parameters, such as JSON, are no larger, in bytes.
LARGEST_TEXT = 64 << 20

#: What damaged archives make NumPy and zipfile raise: both trust what they read.
DAMAGED_ARCHIVE = (
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

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


def require_regular(path: Path, most_bytes: int) -> None:
    """Refuse what reading may never end for: pipes and devices, and files that are too large.

    Raises:
        OSError: it is one, is larger than ``most_bytes``, or cannot be looked at.
    """
    try:
        status = path.stat()
    except ValueError as error:  # a name that no file can have
        raise OSError(f"no file can have that name ({error})") from error
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError("it is a folder, and not a file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a pipe or a device, and not a file")
    if status.st_size > most_bytes:
        raise OSError(f"it has {status.st_size} bytes, and may have {most_bytes} at most")


def read_regular(path: str | os.PathLike[str], most_bytes: int = LARGEST_TEXT) -> bytes:
    """Return the content of a file, and never more than ``most_bytes``.

    Raises:
        OSError: it is no regular file, larger, or cannot be read.
    """
    file = Path(path)
    require_regular(file, most_bytes)
    with file.open("rb") as opened:
        content = opened.read(most_bytes + 1)
    if len(content) > most_bytes:  # it grew, or its size is not told
        raise OSError(f"it has more than the {most_bytes} bytes that it may have")
    return content


def read_json(path: str | os.PathLike[str], most_bytes: int = LARGEST_TEXT) -> Any:
    """Return what a JSON file holds.

    Raises:
        OSError: as for :func:`read_regular`.
        ValueError: it is not UTF-8, no JSON, or nested too deeply.
    """
    content = read_regular(path, most_bytes)
    try:
        return json.loads(content.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def hash_files(*paths: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of the contents of files, one after the other, in hexadecimal digits."""
    return sha256(b"".join(Path(path).read_bytes() for path in paths)).hexdigest()


def require_small(archive: Any, most_bytes: int) -> None:
    """Refuse what ``np.load`` opened if it declares more than so many bytes.

    A few kilobytes may unpack to gigabytes. It is told before anything is unpacked.

    Raises:
        OSError: so it is, or this is a single array and no archive.
    """
    members = getattr(archive, "zip", None)
    if members is None:
        raise OSError("it is no archive of arrays (.npz)")
    declared = sum(member.file_size for member in members.infolist())
    if declared > most_bytes:
        raise OSError(f"it declares {declared} bytes, and may hold {most_bytes} at most")
