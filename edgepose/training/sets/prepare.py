"""Builds those of a recipe's sets that are made of downloaded pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from edgepose.benchmarking.peers.rtmpose import SHAPES, RtmPose
from edgepose.inference.model import load
from edgepose.inference.person_detector import PersonDetector
from edgepose.training.config.settings import TrainConfig
from edgepose.training.sets.backgrounds import BackgroundFinder, BackgroundSettings
from edgepose.training.sets.build import (
    BuildSettings,
    Finder,
    SourceReport,
    build_set,
    is_built,
    read_manifest,
)
from edgepose.training.sets.clips import AnnotatedClips
from edgepose.training.sets.people import HALF_BODIES, PeopleFinder, PeopleSettings
from edgepose.training.sets.sources import Source, find_repositories, read_source_list
from edgepose.utils.progress import Progress
from edgepose_runtime.backends import BackendSettings, Network, get_backend
from edgepose_runtime.bundles.manifest import DETECTOR_GRAPH
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import exists, hash_files

#: The kinds of data that can be built, each with a list of its sources beside this file.
KINDS = ("people", "backgrounds")
#: The bundle whose person detector says where people are.
_BUNDLE = "ppn-swift"

ShowProgress = Callable[[str, int], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class PrepareSettings:
    """How sets are built.

    Attributes:
        downloads: the folder with the repositories, unpacked or as ZIP files.
        teacher: the ONNX file of RTMPose-s, which labels people; None where no people are built.
        half_bodies: take half bodies, small people and people behind others as well.
        most: samples of each source at most, 0 for as many as the lists say.
        allow_missing: build sets without repositories that are not there.
    """

    downloads: Path
    teacher: Path | None = None
    half_bodies: bool = False
    most: int = 0
    allow_missing: bool = False


def prepare_sets(
    config: TrainConfig, root: Path, settings: PrepareSettings, show: ShowProgress
) -> dict[Path, list[SourceReport]]:
    """Build the sets of people and of backgrounds that a recipe names, and go on with stopped ones.

    All that they are built from is looked for before the first is begun: that takes an hour.

    Args:
        config: the recipe; its seed is that of the sets.
        root: the data folder.
        settings: how.
        show: shows the progress of a label and a number of files in its ``with`` block.

    Returns:
        What the sources of each set gave, by its folder; nothing for a set that is there already.

    Raises:
        ConfigError: people are to be built without a teacher, or a set that is there, or was
            begun, had other options.
        DataError: a repository is missing, damaged or holds nothing usable.
        BackendError: the teacher cannot be loaded.
        OutputError: a set cannot be written.
    """
    folders = _folders(config, root)
    reports: dict[Path, list[SourceReport]] = {folder: [] for folder in folders}
    lacking = {f: kind for f, kind in folders.items() if not _is_there(kind, f, settings)}
    if "people" in lacking.values():
        _teacher(settings)
    found = {folder: _sources(kind, config, root, settings) for folder, kind in lacking.items()}
    for folder, sources in found.items():
        kind = lacking[folder]
        with _finder(kind, settings) as (finder, networks):
            build = BuildSettings(kind, settings.most, config.seed, networks)
            with show(f"Building {kind}", sum(len(s.files) for s in sources)) as bar:
                reports[folder] = build_set(folder, sources, finder, build, bar)
    return reports


def _folders(config: TrainConfig, root: Path) -> dict[Path, str]:
    """Return the kinds of the sets that can be built, by their folders."""
    return {root / source.path: source.kind for source in config.sources if source.kind in KINDS}


def _options(kind: str, settings: PrepareSettings) -> PeopleSettings | BackgroundSettings:
    """Return what is looked for."""
    if kind == "backgrounds":
        return BackgroundSettings()
    return HALF_BODIES if settings.half_bodies else PeopleSettings()


def _is_there(kind: str, folder: Path, settings: PrepareSettings) -> bool:
    """Return whether a set is there already; one without a manifest may be of any origin.

    Raises:
        ConfigError: it was built with other options.
    """
    if not is_built(folder):
        return False
    wanted = {"most": settings.most, "options": asdict(_options(kind, settings))}
    manifest = {**wanted, **read_manifest(folder)}
    if any(manifest[name] != value for name, value in wanted.items()):
        raise ConfigError(
            f"The set '{folder}' is there, built with another --most or --half-bodies. Move it "
            "away to build this one, or leave --prepare out to train on it."
        )
    return True


def _sources(
    kind: str, config: TrainConfig, root: Path, settings: PrepareSettings
) -> Sequence[Source]:
    listed = read_source_list(Path(__file__).with_name(f"{kind}.toml"))
    found: list[Source] = []
    found += find_repositories(
        listed, settings.downloads, config.seed, allow_missing=settings.allow_missing
    )
    if kind == "backgrounds":
        clips = [root / source.path for source in config.sources if source.kind == "jhmdb"]
        found += [AnnotatedClips(path) for path in clips if exists(path / "joints.npz")]
    return found


@contextmanager
def _finder(kind: str, settings: PrepareSettings) -> Iterator[tuple[Finder, dict[str, str]]]:
    """Load the networks of a finder; yield it and their SHA-256.

    They compute in float32, so that sets do not depend on the processor more than they must.
    """
    options = _options(kind, settings)
    with load(_BUNDLE, precision="float32", num_threads=1) as model:
        detector, hashes = PersonDetector(*model.detector()), dict[str, str]()
        if model.manifest is not None:
            hashes["detector"] = model.manifest.graphs[DETECTOR_GRAPH].sha256
        if isinstance(options, BackgroundSettings):
            yield BackgroundFinder(detector, options), hashes
            return
        teacher = _teacher(settings)
        hashes["teacher"] = hash_files(teacher)
        with _load_teacher(teacher) as network:
            yield PeopleFinder(detector, RtmPose(network, mirrored=True), options), hashes


def _teacher(settings: PrepareSettings) -> Path:
    if settings.teacher is None or not exists(settings.teacher):
        raise ConfigError(
            "The set of people is labelled by RTMPose-s: give its ONNX file by --teacher "
            f"rtmpose-s-halpe26-256x192.onnx; got {settings.teacher}."
        )
    return settings.teacher


def _load_teacher(path: Path) -> Network:
    """Load the teacher; a file of another network is refused."""
    network = get_backend("openvino").load(
        path, settings=BackendSettings(precision="float32", num_threads=1, batch=1)
    )
    tensors = {**network.inputs, **network.outputs}
    if {name: tensor.shape for name, tensor in tensors.items()} != SHAPES:
        network.close()
        raise ConfigError(
            f"The teacher '{path}' is not RTMPose for 256x192 pixels and 26 joints: give "
            "rtmpose-s-halpe26-256x192.onnx by --teacher."
        )
    return network
