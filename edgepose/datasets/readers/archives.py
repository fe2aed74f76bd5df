"""Pictures in ZIP archives."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from edgepose_runtime.errors import DataError
from edgepose_runtime.files import require_regular

#: Bytes of an archive, and of a picture in it, at most.
LARGEST_ARCHIVE, LARGEST_PICTURE = 1 << 36, 64 << 20


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open an archive of pictures.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        require_regular(path, LARGEST_ARCHIVE)
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise DataError(f"The archive of pictures '{path}' is missing.") from None
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError(f"The archive of pictures '{path}' cannot be read: {error}.") from error


def read_member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    """Return one encoded picture of an archive.

    Args:
        archive: as :func:`open_archive` returns it.
        path: its file, for the message.
        name: the picture in it.

    Raises:
        DataError: the archive lacks the picture, or it is damaged.
    """
    try:
        if archive.getinfo(name).file_size > LARGEST_PICTURE:
            raise OSError(f"it declares more than {LARGEST_PICTURE} bytes")
        return archive.read(name)
    except (KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"The picture {name} in '{path}' cannot be read: {error}.") from error
