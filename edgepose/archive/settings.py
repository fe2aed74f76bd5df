"""How the videos of an archive are tracked, cut and retried."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict, dataclass
from typing import Any

from edgepose.inference.model import DEFAULT_MODEL, bundle_path
from edgepose.keyframes import KeyFrames
from edgepose.people.settings import SeveralPeople, people_settings
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET
from edgepose.utils.machine import installed
from edgepose_runtime.bundles.bundle import MANIFEST_FILE, load_bundle
from edgepose_runtime.checks import require_whole
from edgepose_runtime.errors import ConfigError

FORMAT, VERSION = "edgepose.archive", 1
_PACKAGES = ("edgepose", "numpy", "opencv-python", "openvino", "onnxruntime")


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How each video is tracked, as by ``edgepose track``; plain values that JSON can hold.

    Attributes:
        model: name or folder of a bundle.
        backend: what runs the networks.
        device: where they run.
        precision: what they compute in.
        num_threads: CPU threads of each worker's networks; with 1 the workers share the cores.
        smoothing: whether joints are smoothed in time.
        reinitialise_every: frames between runs of the head; ``None`` for the bundle's own number.
        search_budget: what a frame without a person costs, in steps for a person.
        max_people: how many people are followed: a number or ``"all"``.
        key_frames: process few frames only.
        max_key_rate: the part of the frames that are processed then; ``None`` for as needed.
        thin_slicing: refine poses with neighbouring frames.
        lag_frames: later frames that a refined pose is computed from; ``None`` for the default.
        allow_damaged: keep the poses of damaged files, of all frames that can be decoded.

    Raises:
        ConfigError: options contradict each other or have no such value.
    """

    model: str = DEFAULT_MODEL
    backend: str = "openvino"
    device: str = "cpu"
    precision: str = "auto"
    num_threads: int = 1
    smoothing: bool = True
    reinitialise_every: int | None = None
    search_budget: float = DEFAULT_BUDGET
    max_people: int | str = 1
    key_frames: bool = False
    max_key_rate: float | None = None
    thin_slicing: bool = False
    lag_frames: int | None = None
    allow_damaged: bool = False

    def __post_init__(self) -> None:
        if self.key_frames and self.thin_slicing:
            raise ConfigError("Key frames and thin-slicing exclude each other; leave one out.")
        if self.max_key_rate is not None and not self.key_frames:
            raise ConfigError("max_key_rate is the part of key frames; choose key_frames with it.")
        if self.lag_frames is not None and not self.thin_slicing:
            raise ConfigError("lag_frames needs thin_slicing; add it, or leave lag_frames out.")

    @property
    def several(self) -> SeveralPeople | None:
        """How several people are followed, ``None`` for one person."""
        return people_settings(self.max_people)  # type: ignore[arg-type]

    @property
    def selects_key_frames(self) -> bool:
        """Whether key frames are selected in the whole file in advance: those of one person are."""
        return self.key_frames and self.several is None

    def refinement(self) -> ThinSlicing | None:
        """Return how poses are refined."""
        if not self.thin_slicing:
            return None
        lag = self.lag_frames
        return ThinSlicing() if lag is None else ThinSlicing(lag_frames=lag)

    def live_key_frames(self) -> KeyFrames | None:
        """Return how key frames are chosen while frames come, ``None`` where they are not."""
        if not self.key_frames or self.selects_key_frames:
            return None
        rate = self.max_key_rate
        return KeyFrames() if rate is None else KeyFrames(max_key_rate=rate)


@dataclass(frozen=True, slots=True)
class CutSettings:
    """How long files are cut into ranges.

    Attributes:
        frames_per_unit: longer files are cut into ranges of so many frames.
        overlap: so many frames before a range are tracked, too, to warm up and to join identities.

    Raises:
        ConfigError: a number is below 1, or the overlap is as long as a range.
    """

    frames_per_unit: int = 18_000
    overlap: int = 120

    def __post_init__(self) -> None:
        require_whole(self, ("frames_per_unit", "overlap"), 1)
        if self.overlap >= self.frames_per_unit:
            raise ConfigError(
                f"The overlap ({self.overlap} frames) must be shorter than a range "
                f"({self.frames_per_unit} frames)."
            )


def describe_run(tracking: TrackSettings, cut: CutSettings) -> dict[str, Any]:
    """Return what an archive says of itself: model with hash, skeleton, options and versions.

    Raises:
        BundleError: there is no such model, or it is damaged.
    """
    bundle = load_bundle(bundle_path(tracking.model))
    # The manifest holds the hashes of all other files.
    content = (bundle.path / MANIFEST_FILE).read_bytes()
    options = {name: value for name, value in asdict(tracking).items() if name != "model"}
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": bundle.manifest.name,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "skeleton": bundle.manifest.skeleton,
        "options": options,
        "cut": asdict(cut),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {name: installed(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        **{name: version for name, version in found.items() if version is not None},
    }
