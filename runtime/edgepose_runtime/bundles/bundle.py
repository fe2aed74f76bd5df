"""Bundles: folders with a manifest and the graphs it describes, verified when they are opened."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgepose_runtime.bundles.manifest import FileSpec, GraphSpec, Manifest
from edgepose_runtime.bundles.manifest_json import dump_manifest, parse_manifest
from edgepose_runtime.bundles.springs_json import dump_springs, read_springs
from edgepose_runtime.errors import (
    BundleFormatError,
    BundleHashError,
    BundleNotFoundError,
    BundleVersionError,
    ConfigError,
    OutputError,
)
from edgepose_runtime.files import read_regular
from edgepose_runtime.thin_slicing.springs import Springs

MANIFEST_FILE = "manifest.json"
SPRINGS_FILE = "springs.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
    """

    path: Path
    manifest: Manifest

    def graph_path(self, name: str) -> Path:
        """Return the ONNX file of a graph.

        Raises:
            ConfigError: the bundle has no graph of that name.
        """
        if name not in self.manifest.graphs:
            raise ConfigError(
                f"The bundle {self.manifest.name!r} has no graph {name!r}; it has "
                f"{', '.join(self.manifest.graphs)}."
            )
        return self.path / self.manifest.graphs[name].file

    def springs(self) -> Springs | None:
        """Return the springs for thin-slicing, or ``None`` if the bundle has none.

        Raises:
            BundleFormatError: the file is not valid.
        """
        spec = self.manifest.springs
        return None if spec is None else read_springs(self.path / spec.file)


def load_bundle(path: str | Path) -> Bundle:
    """Open a bundle and verify every file of it.

    Raises:
        BundleNotFoundError: there is no folder, or none with a manifest, at the path.
        BundleFormatError: the manifest is not valid, or a graph is missing or cut off.
        BundleVersionError: the bundle has another version of the format.
        BundleHashError: a graph is not the one that the manifest describes.
    """
    folder = Path(path)
    try:
        manifest = parse_manifest(_manifest_text(folder))
    except (BundleFormatError, BundleVersionError) as error:
        raise type(error)(f"The bundle {folder} cannot be used: {error}") from error
    for graph in manifest.graphs.values():
        _verify(folder / graph.file, graph)
    if manifest.springs is not None:
        _verify(folder / manifest.springs.file, manifest.springs, "file of springs")
    return Bundle(folder, manifest)


def write_bundle(
    folder: str | Path,
    manifest: Manifest,
    graphs: Mapping[str, bytes],
    *,
    springs: Springs | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle as a whole or not at all.

    Sizes and hashes of the graphs are filled in here. The files are written to a new folder
    beside the target and moved into place at the end.

    Args:
        folder: the folder to create.
        manifest: describes the graphs.
        graphs: the content of each graph's file, by the names in the manifest.
        springs: what refines the heat-maps; ``None`` for nothing.
        overwrite: replace a bundle that is already there.

    Raises:
        ConfigError: ``graphs`` are not those of the manifest.
        BundleFormatError: the manifest is not valid.
        OutputError: the target exists, or cannot be written.
    """
    target = Path(folder)
    extra = None if springs is None else dump_springs(springs).encode()
    complete = _with_hashes(manifest, graphs, extra)
    text = dump_manifest(complete)
    parse_manifest(text)
    check_bundle_target(target, overwrite=overwrite)
    try:
        _write_beside(target, complete, text, graphs, extra)
    except OSError as error:
        raise OutputError(f"The bundle {target} cannot be written: {error}.") from error
    return load_bundle(target)


def with_springs(bundle: Bundle, springs: Springs | None) -> Bundle:
    """Replace the springs of a bundle; ``None`` takes them out.

    Raises:
        OutputError: the bundle cannot be written.
    """
    graphs = {name: bundle.graph_path(name).read_bytes() for name in bundle.manifest.graphs}
    return write_bundle(bundle.path, bundle.manifest, graphs, springs=springs, overwrite=True)


def check_bundle_target(folder: str | Path, *, overwrite: bool = False) -> None:
    """Refuse a target that :func:`write_bundle` could not write, before any work is done.

    Raises:
        OutputError: something that is no bundle lies there, a bundle does and ``overwrite`` is
            false, or the folder above cannot be written.
    """
    target = Path(folder)
    if target.exists() and not (target / MANIFEST_FILE).is_file():
        raise OutputError(f"{target} exists and is not a bundle; it is left as it is.")
    if target.exists() and not overwrite:
        raise OutputError(f"The bundle {target} exists already; allow overwriting to replace it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent):
            pass
    except OSError as error:
        raise OutputError(f"The bundle {target} cannot be written: {error}.") from error


def _manifest_text(folder: Path) -> str:
    file = folder / MANIFEST_FILE
    if not folder.is_dir():
        raise BundleNotFoundError(f"There is no bundle at {folder}; give a bundle's folder.")
    if not file.is_file():
        raise BundleNotFoundError(f"The folder {folder} is not a bundle: it has no manifest.json.")
    try:
        return read_regular(file).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleFormatError(f"{file} cannot be read: {error}.") from error


def _verify(file: Path, graph: GraphSpec | FileSpec, kind: str = "graph") -> None:
    if not file.is_file():
        raise BundleFormatError(f"The bundle lacks the {kind} {file}, which its manifest names.")
    size = file.stat().st_size
    if size < graph.num_bytes:
        raise BundleFormatError(
            f"The {kind} {file} is cut off: it has {size} of {graph.num_bytes} bytes."
        )
    if size > graph.num_bytes:
        raise BundleHashError(
            f"The {kind} {file} is not the one that the manifest describes: it has {size} bytes "
            f"instead of {graph.num_bytes}."
        )
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleFormatError(f"The {kind} {file} cannot be read: {error}.") from error
    if digest != graph.sha256:
        raise BundleHashError(
            f"The {kind} {file} is not the one that the manifest describes: its sha256 is "
            f"{digest}, expected {graph.sha256}."
        )


def _with_hashes(
    manifest: Manifest, graphs: Mapping[str, bytes], springs: bytes | None
) -> Manifest:
    if graphs.keys() != manifest.graphs.keys():
        raise ConfigError(
            f"The manifest describes the graphs {sorted(manifest.graphs)}, but {sorted(graphs)} "
            "were given."
        )
    hashed = {
        name: replace(
            spec,
            sha256=hashlib.sha256(graphs[name]).hexdigest(),
            num_bytes=len(graphs[name]),
        )
        for name, spec in manifest.graphs.items()
    }
    described = None
    if springs is not None:
        digest = hashlib.sha256(springs).hexdigest()
        described = FileSpec(SPRINGS_FILE, digest, len(springs))
    return replace(manifest, graphs=hashed, springs=described)


def _write_beside(
    target: Path,
    manifest: Manifest,
    text: str,
    graphs: Mapping[str, bytes],
    springs: bytes | None,
) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        fresh = Path(temporary) / "new"
        fresh.mkdir()  # unlike the temporary folder itself, readable for others as umask allows
        for name, spec in manifest.graphs.items():
            (fresh / spec.file).write_bytes(graphs[name])
        if springs is not None:
            (fresh / SPRINGS_FILE).write_bytes(springs)
        (fresh / MANIFEST_FILE).write_text(text, encoding="utf-8")
        _replace(target, fresh, Path(temporary) / "old")


def _replace(target: Path, fresh: Path, old: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        old.rename(target)
        raise
