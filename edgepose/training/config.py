"""Training recipes: TOML files read into small validated settings."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edgepose.datasets.augmentation import Augmentation
from edgepose.datasets.targets import TargetSettings
from edgepose_runtime.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"
T = TypeVar("T")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"The {what} {value!r} is not known; choose one of {', '.join(known)}.")


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one input size; both network and targets scale with it."""

    steps: int
    size: int
    batch: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.size < 32 or self.size % 32:
            raise ConfigError(
                f"A phase needs positive steps and batch and a size that is a multiple of 32; got {self}."
            )


@dataclass(frozen=True)
class SourceSettings:
    """One set of data: its `kind` names the reader, `path` is relative to the data folder."""

    kind: str
    share: float = 1.0
    path: str = ""


@dataclass(frozen=True)
class OptimiserSettings:
    """How weights are updated.

    Attributes:
        name: ``adam``, ``adamw`` or ``rmsprop``.
        learning_rate: its peak; `backbone_factor` multiplies it for ImageNet-trained layers.
        schedule: ``cosine`` or ``linear`` to zero, after `warmup` steps.
        clip: largest norm of the gradient.
        ema: decay of the running average of the weights, 0 for none.
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    backbone_factor: float = 1.0
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    warmup: int = 0
    clip: float = 1.0
    ema: float = 0.999

    def __post_init__(self) -> None:
        _one_of("optimiser", self.name, ("adam", "adamw", "rmsprop"))
        _one_of("schedule", self.schedule, ("cosine", "linear", "constant"))


@dataclass(frozen=True)
class SequenceSettings:
    """Stage 2: windows of consecutive frames (SPEC §4.3).

    Attributes:
        length: T, frames per window.
        realign: resample the previous heat-maps into the next frame's crop, as the tracker does.
        corrupt: probability that the heat-maps handed to the first frame are spoiled (moved,
            swapped, dropped or another person's), so that the network learns to recover.
        preliminary: weight of a loss on the body network's own maps.
        head: train the head in the same run (as published) or start from target-like maps.
    """

    length: int = 5
    realign: bool = True
    corrupt: float = 0.0
    preliminary: float = 0.0
    head: bool = True


@dataclass(frozen=True)
class TrainConfig:
    """A whole recipe."""

    name: str
    phases: tuple[Phase, ...]
    sources: tuple[SourceSettings, ...]
    network: Mapping[str, Any] = field(default_factory=dict)
    ppn: str | Mapping[str, Any] | None = None
    start: Mapping[str, str] = field(default_factory=dict)
    sequence: SequenceSettings | None = None
    optimiser: OptimiserSettings = OptimiserSettings()
    augmentation: Augmentation = Augmentation()
    targets: TargetSettings = TargetSettings()
    foreground: float = 0.0
    skeleton: str = "penn13"
    seed: int = 0
    checkpoint_minutes: float = 5.0
    on_broken: str = "skip"

    def __post_init__(self) -> None:
        _one_of("on_broken", self.on_broken, ("skip", "refuse"))
        if not self.phases or not self.sources:
            raise ConfigError(f"The recipe {self.name!r} needs at least one phase and one source.")
        if (self.ppn is None) != (self.sequence is None):
            raise ConfigError(
                f"The recipe {self.name!r} needs both 'ppn' and 'sequence', or neither of them."
            )

    @property
    def total_steps(self) -> int:
        """The steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a checkpoint."""
        return dataclasses.asdict(self)


def load_config(path: str | Path) -> TrainConfig:
    """Read a recipe from a TOML file, or by the name of one that is shipped.

    Raises:
        ConfigError: the file is missing or broken, or has an unknown or unfitting option.
    """
    path = _find(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {path} is not valid TOML: {error}.") from error
    return parse_config({"name": path.stem, **values})


def parse_config(values: Mapping[str, Any]) -> TrainConfig:
    """Build a recipe from plain values."""
    out = dict(values)
    out["phases"] = tuple(_settings(Phase, v, "phases") for v in out.get("phases", ()))
    out["sources"] = tuple(_settings(SourceSettings, v, "sources") for v in out.get("sources", ()))
    for name, kind in (
        ("sequence", SequenceSettings),
        ("optimiser", OptimiserSettings),
        ("augmentation", Augmentation),
        ("targets", TargetSettings),
    ):
        if out.get(name) is not None:
            out[name] = _settings(kind, out[name], name)
    return _settings(TrainConfig, out, "the recipe")


def _settings(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"Unknown option {unknown[0]!r} in {where}; known ones are {', '.join(sorted(known))}."
        )
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    try:
        return kind(**plain)
    except TypeError as error:
        raise ConfigError(f"Options of {where} do not fit: {error}.") from error


def _find(path: str | Path) -> Path:
    for candidate in (Path(path), RECIPES / f"{path}.toml"):
        if candidate.is_file():
            return candidate
    shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
    raise ConfigError(f"There is no recipe {str(path)!r}: give a TOML file or one of {shipped}.")
