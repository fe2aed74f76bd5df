"""Writes the files of a set: pictures in one archive, and labels."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.training.sets.samples import Sample
from edgepose.utils.output_files import path_beside
from edgepose.utils.synced_files import sync_folder, write_synced
from edgepose_runtime.errors import OutputError

PICTURES, LABELS = "images.zip", "labels.npz"


class SetWriter:
    """Writes ``images.zip`` and ``labels.npz``, which take their places at the end.

    The same samples give the same bytes.

    Args:
        folder: of the set.
        unfinished: where the archive lies until then, a folder on the same disk.
        with_labels: whether there are any, for people.

    Attributes:
        count: samples so far.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, unfinished: Path, *, with_labels: bool) -> None:
        self.count = 0
        self._folder, self._with_labels = folder, with_labels
        self._rows: list[tuple[str, str, str]] = []
        self._keypoints: list[NDArray[np.float16]] = []
        self._beside = path_beside(unfinished / PICTURES)
        try:
            self._archive = zipfile.ZipFile(self._beside, "w", zipfile.ZIP_STORED)
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._archive.close()
        finally:
            self._beside.unlink(missing_ok=True)

    def add(self, source: str, sample: Sample) -> None:
        """Write a sample.

        Raises:
            OutputError: the disk is full or gone.
        """
        name = f"{self.count:06d}.jpg"
        try:
            self._archive.writestr(zipfile.ZipInfo(name), sample.picture)
        except OSError as error:
            raise self._failed(error) from error
        self._rows.append((name, source, sample.origin))
        self._keypoints.append(sample.keypoints)
        self.count += 1

    def finish(self) -> dict[str, str]:
        """Put the files in their places, and return the SHA-256 of each.

        Raises:
            OutputError: the disk is full or gone.
        """
        labels = self._labels()
        hashes = {LABELS: sha256(labels).hexdigest()}
        write_synced(self._folder / LABELS, labels)
        try:
            self._archive.close()
            hashes[PICTURES] = _file_digest(self._beside)
            self._beside.replace(self._folder / PICTURES)
        except OSError as error:
            raise self._failed(error) from error
        sync_folder(self._folder)
        return hashes

    def _labels(self) -> bytes:
        """Return the table of names and origins, and of joints where there are any."""
        names, sources, origins = zip(*self._rows, strict=True)
        table: dict[str, Any] = {
            "names": np.array(names),
            "source": np.array(sources),
            "origin": np.array(origins),
        }
        if self._with_labels:
            table["keypoints"] = np.array(self._keypoints)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **table)
        return buffer.getvalue()

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"Cannot write to '{self._folder}': {error.strerror or error}.")


def _file_digest(path: Path) -> str:
    """Return the SHA-256 of a file that may be larger than the memory."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
