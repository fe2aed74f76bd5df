"""Training recipes: what is learned, from which data and how, as small validated settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgepose.datasets.augmentation import Augmentation
from edgepose.datasets.targets import TargetSettings
from edgepose.models.dkd_registry import dkd_config
from edgepose.models.networks import NetworkConfig
from edgepose.models.options import from_mapping
from edgepose.models.registry import ppn_config
from edgepose.training.adversary_settings import AdversarySettings
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.skeletons import Skeleton, get_skeleton


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"The {what} {value!r} is not known; choose one of {', '.join(known)}.")


def _at_least(least: float, settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value >= least:
            raise ConfigError(f"The option {name!r} must be at least {least:g}; got {value}.")


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one input size.

    Attributes:
        steps: updates of the weights.
        size: side of the square input in pixels, a multiple of 32.
        batch: images, or windows of frames, per step.
    """

    steps: int
    size: int
    batch: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.size < 32 or self.size % 32:
            raise ConfigError(
                "A phase needs positive steps and batch and a size that is a multiple of 32; "
                f"got {self}."
            )


@dataclass(frozen=True)
class SourceSettings:
    """One set of data.

    Attributes:
        kind: names the reader.
        share: how often it is drawn from, against the other sources.
        path: its folder, relative to the data folder.
        split: which training split of the set; empty for the usual one.
        supervise_only_visible: give joints that are marked as occluded no weight.
    """

    kind: str
    share: float = 1.0
    path: str = ""
    split: str = ""
    supervise_only_visible: bool = False

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ConfigError(
                f"The share of a source must be above 0; {self.kind} has {self.share}."
            )


@dataclass(frozen=True)
class OptimiserSettings:
    """How weights are updated.

    Attributes:
        name: ``adam``, ``adamw`` or ``rmsprop``.
        learning_rate: its peak.
        backbone_factor: multiplies it for backbones, whose weights come from ImageNet.
        body_factor: multiplies it for the body of a PPN, the encoder of a DKD or the unary network
            of slices, which was trained before. 0 leaves a body as it is, which takes a third of
            the time.
        weight_decay: not applied to biases and norms.
        schedule: ``cosine`` or ``linear`` to zero, ``constant``, or ``step``: a tenth at each of
            `milestones`.
        milestones: shares of all steps, in (0, 1).
        warmup: steps of linear increase at the start.
        clip: largest norm of the gradient; 0 for no limit.
        ema: decay of the running average of the weights; 0 for none.
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    backbone_factor: float = 1.0
    body_factor: float = 1.0
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    milestones: tuple[float, ...] = ()
    warmup: int = 0
    clip: float = 1.0
    ema: float = 0.999

    def __post_init__(self) -> None:
        _one_of("optimiser", self.name, ("adam", "adamw", "rmsprop"))
        _one_of("schedule", self.schedule, ("cosine", "linear", "constant", "step"))
        if not self.learning_rate > 0:
            raise ConfigError(f"The learning rate must be above 0; got {self.learning_rate}.")
        _at_least(0, self, "backbone_factor", "body_factor", "weight_decay", "warmup", "clip")
        if not all(0 < share < 1 for share in self.milestones):
            raise ConfigError(f"All 'milestones' must lie between 0 and 1; got {self.milestones}.")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"The decay 'ema' must be at least 0 and below 1; got {self.ema}.")


@dataclass(frozen=True)
class SequenceSettings:
    """Stage 2: windows of consecutive frames (PPN, section "Training"; DKD, Algorithm 1).

    Attributes:
        length: T, frames per window.
        realign: resample the previous heat-maps into the next frame's crop, as the tracker does;
            DKD's kernels need none.
        corrupt: share of windows whose first frame is handed spoiled heat-maps (moved, swapped,
            dropped or another person's), so that the network learns to recover.
        preliminary: weight of a loss on the maps of the body network, or DKD's encoder, alone,
            which the papers do not have.
        head: train the head in the same run, as published. Without it the first frame of a PPN
            gets maps such as a head might give, and the encoder of a DKD starts itself.
        keep_norms: leave the statistics of the body's batch norms as they were trained: the frames
            of a few windows are too alike to estimate them.
    """

    length: int = 5
    realign: bool = True
    corrupt: float = 0.0
    preliminary: float = 0.0
    head: bool = True
    keep_norms: bool = False

    def __post_init__(self) -> None:
        _at_least(0, self, "preliminary")
        if self.length < 1 or not 0 <= self.corrupt <= 1:
            raise ConfigError(
                "A sequence needs a length of at least 1 and 'corrupt' from 0 to 1; "
                f"got {self.length} and {self.corrupt}."
            )


@dataclass(frozen=True)
class SliceSettings:
    """Stage 2 of Thin-Slicing: slices of consecutive frames, end to end.

    Attributes:
        length: frames per slice.
        reach: frames that exchange messages are at most so far apart.
        rounds: of messages.
        springs: a file of springs to start from (.json), or a bundle that has some; their reach and
            rounds are taken. Empty for soft ones without direction.
        loss: ``hinge`` as published, ``balanced``, or ``choice``; see `edgepose.training.hinge`.
        before_sigmoid: where heat-maps end in a sigmoid, exchange messages about what is before
            it; see `SliceNetwork`.
        flow: ``dis``, ``farneback`` or ``none``.
    """

    length: int = 5
    reach: int = 1
    rounds: int = 3
    springs: str = ""
    loss: Literal["choice", "hinge", "balanced"] = "hinge"
    before_sigmoid: bool = True
    flow: str = "dis"

    def __post_init__(self) -> None:
        _at_least(1, self, "length", "rounds")
        _at_least(0, self, "reach")
        _one_of("flow", self.flow, ("dis", "farneback", "none"))


@dataclass(frozen=True)
class TrainConfig:
    """A whole recipe.

    Attributes:
        name: of the recipe.
        phases: one after the other.
        sources: the data.
        network: of stage 1; see `edgepose.models.NetworkConfig`.
        ppn: of stage 2; a name or options of `edgepose.models.PPNConfig`.
        dkd: in place of `ppn`; a name or options of `edgepose.models.DKDConfig`.
        start: files of weights to start from, by the part of the module they go to (``all``,
            ``backbone``, ``body``, ``body.backbone``, ...).
        frozen: parts of the module that stay as they are, norms included. Without the gradients of
            a backbone's first layers, whose maps are the largest, a step takes two thirds of the
            time.
        int8: train single images with convolutions that round as int8 does; see `simulate_int8`.
            Norms keep their statistics.
        float_layers: patterns of modules that stay float with ``int8``.
        sequence: settings of stage 2.
        adversary: DKD's discriminator; None trains without.
        slices: train `network` with message passing behind it; see `SliceSettings`.
        optimiser, augmentation, targets: see their classes.
        foreground: see `heatmap_loss`.
        skeleton: the joints to learn.
        seed: of weights, samples and everything else that is drawn.
        checkpoint_minutes: time between checkpoints.
        validate_every: steps between validations on the JHMDB validation clips; 0 for none.
        on_broken: ``skip`` broken files of the data with a warning, or ``refuse`` them.
        on_collapse: ``stop`` a run that learns nothing any more, or ``warn``.
    """

    name: str
    phases: tuple[Phase, ...]
    sources: tuple[SourceSettings, ...]
    network: Mapping[str, Any] = field(default_factory=dict)
    ppn: str | Mapping[str, Any] | None = None
    dkd: str | Mapping[str, Any] | None = None
    start: Mapping[str, str] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    int8: bool = False
    float_layers: tuple[str, ...] = ()
    sequence: SequenceSettings | None = None
    adversary: AdversarySettings | None = None
    slices: SliceSettings | None = None
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    targets: TargetSettings = field(default_factory=TargetSettings)
    foreground: float = 0.0
    skeleton: str = "penn13"
    seed: int = 0
    checkpoint_minutes: float = 5.0
    validate_every: int = 0
    on_broken: str = "skip"
    on_collapse: str = "stop"

    def __post_init__(self) -> None:
        _one_of("on_broken", self.on_broken, ("skip", "refuse"))
        _one_of("on_collapse", self.on_collapse, ("stop", "warn"))
        _at_least(0, self, "foreground", "seed", "checkpoint_minutes", "validate_every")
        get_skeleton(self.skeleton)
        if not self.phases or not self.sources:
            raise ConfigError(f"The recipe {self.name!r} needs at least one phase and one source.")
        self._require_one_network()
        self._require_fitting_options()
        if self.ppn is not None:
            ppn_config(self.ppn)
        elif self.dkd is not None:
            dkd_config(self.dkd)
        else:
            from_mapping(NetworkConfig, "network", self.network)

    def _require_one_network(self) -> None:
        temporal = [name for name in ("ppn", "dkd") if getattr(self, name) is not None]
        if len(temporal) + bool(self.network) != 1:
            raise ConfigError(
                f"The recipe {self.name!r} needs either 'network' (single images) or "
                "'ppn' or 'dkd' (sequences), and one of them only."
            )
        if bool(temporal) != self.of_sequences:
            raise ConfigError(
                f"The recipe {self.name!r} needs 'sequence' together with 'ppn' or 'dkd', or "
                "neither of them."
            )
        if self.slices is not None and temporal:
            raise ConfigError(
                f"The recipe {self.name!r} has 'slices' and {temporal[0]!r}; leave one out."
            )

    def _require_fitting_options(self) -> None:
        if self.int8 and (not self.network or self.slices is not None):
            raise ConfigError(
                f"The recipe {self.name!r} has 'int8', which is for single images; train their "
                "'network' with it, and start the sequences from that."
            )
        if self.float_layers and not self.int8:
            raise ConfigError(
                f"The recipe {self.name!r} has 'float_layers' but not 'int8', without which all "
                "layers are float; leave it out, or set 'int8'."
            )
        if self.adversary is not None and self.dkd is None:
            raise ConfigError(
                f"The recipe {self.name!r} has an 'adversary' but no 'dkd'; leave it out."
            )

    @property
    def of_sequences(self) -> bool:
        """Whether frames that follow each other are trained together, in order."""
        return self.sequence is not None

    @property
    def total_steps(self) -> int:
        """The steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def joints(self) -> Skeleton:
        """The skeleton that is learned."""
        return get_skeleton(self.skeleton)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a checkpoint."""
        return dataclasses.asdict(self)
