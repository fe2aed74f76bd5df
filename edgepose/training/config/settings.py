"""Training recipes: what is learned, from which data and how, as small validated settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepose.datasets.sampling.augmentation import Augmentation
from edgepose.datasets.sampling.targets import TargetSettings
from edgepose.models.dkd.configs import dkd_config
from edgepose.models.options import from_mapping
from edgepose.models.pose.network import NetworkConfig
from edgepose.models.ppn.configs import ppn_config
from edgepose.training.config.adversary import AdversarySettings
from edgepose.training.config.checks import require_at_least, require_one_of
from edgepose.training.config.optimiser import OptimiserSettings
from edgepose.training.config.sequences import SequenceSettings, SliceSettings
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import Skeleton, get_skeleton


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one input size.

    Attributes:
        steps: updates of the weights.
        size: side of the square input in pixels, a multiple of 32; of 8 for a CPM.
        batch: images, or windows of frames, per step.
    """

    steps: int
    size: int
    batch: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.size < 32 or self.size % 8:
            raise ConfigError(
                "A phase needs positive steps and batch and a size that is a multiple of 32 (of 8 "
                f"for a CPM); got {self}."
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
        fold_norms: batch norms keep their statistics and are folded into the convolutions while
            single images are trained; see `fold_while_training`.
        runtime_layers: how many of the backbone's first layers OpenVINO computes while single
            images are trained; they must be frozen. See `compile_frozen_layers`.
        int8: train single images with convolutions that round as int8 does; see `simulate_int8`.
            Norms keep their statistics.
        float_layers: patterns of modules that stay float with ``int8``.
        sequence: settings of stage 2.
        adversary: DKD's discriminator; None trains without.
        slices: train `network` with message passing behind it; see `SliceSettings`.
        optimiser, augmentation, targets: see their classes.
        foreground: see `heatmap_loss`.
        reduction: of the loss of images and slices: ``mean``, or ``sum`` over all cells, joints and
            frames of a sample, which Thin-Slicing and its learning rates have; refused for 'ppn'
            and 'dkd', whose losses are means.
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
    fold_norms: bool = False
    runtime_layers: int = 0
    int8: bool = False
    float_layers: tuple[str, ...] = ()
    sequence: SequenceSettings | None = None
    adversary: AdversarySettings | None = None
    slices: SliceSettings | None = None
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    targets: TargetSettings = field(default_factory=TargetSettings)
    foreground: float = 0.0
    reduction: str = "mean"
    skeleton: str = "penn13"
    seed: int = 0
    checkpoint_minutes: float = 5.0
    validate_every: int = 0
    on_broken: str = "skip"
    on_collapse: str = "stop"

    def __post_init__(self) -> None:
        require_one_of("on_broken", self.on_broken, ("skip", "refuse"))
        require_one_of("reduction", self.reduction, ("mean", "sum"))
        require_one_of("on_collapse", self.on_collapse, ("stop", "warn"))
        require_at_least(0, self, "foreground", "seed", "checkpoint_minutes", "validate_every")
        get_skeleton(self.skeleton)
        if not self.phases or not self.sources:
            raise ConfigError(f"The recipe {self.name!r} needs at least one phase and one source.")
        self._require_one_network()
        self._require_fitting_options()
        if self.ppn is not None:
            ppn_config(self.ppn)
        elif self.dkd is not None:
            dkd_config(self.dkd)
        self._require_sizes()

    def _require_sizes(self) -> None:
        """Refuse input that the network cannot halve as often as it does."""
        own = self._network_config
        least = 32 if own is None else own.coarsest
        for phase in self.phases:
            if phase.size % least:
                raise ConfigError(
                    f"The network of the recipe {self.name!r} needs input whose side is a multiple "
                    f"of {least}; got {phase.size}."
                )

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
        if self.fold_norms and (not self.network or self.int8):
            raise ConfigError(
                f"The recipe {self.name!r} has 'fold_norms', which is for single images without "
                "'int8'; leave one out."
            )
        frozen = [f"backbone.features.{layer}" for layer in range(self.runtime_layers)]
        if not set(frozen) <= set(self.frozen):
            raise ConfigError(
                f"The recipe {self.name!r} lets the runtime compute {self.runtime_layers} layers, "
                f"so 'frozen' must name {', '.join(frozen)}."
            )
        if self.view is not None:
            self._require_upright(self.view)
        if self.reduction == "sum" and self.of_sequences:
            raise ConfigError(
                f"The recipe {self.name!r} has reduction 'sum', which is for single images and "
                "slices; leave it out: the losses of 'ppn' and 'dkd' are means."
            )
        if self.adversary is not None and self.dkd is None:
            raise ConfigError(
                f"The recipe {self.name!r} has an 'adversary' but no 'dkd'; leave it out."
            )

    def _require_upright(self, view: InputView) -> None:
        sizes = {phase.size for phase in self.phases}
        if sizes != {view.height}:
            raise ConfigError(
                f"The network of the recipe {self.name!r} takes images of {view.height} rows, so "
                f"its phases must be of that size; got {', '.join(map(str, sorted(sizes)))}."
            )
        if self.slices is not None or self.augmentation.convention != "person":
            raise ConfigError(
                f"The recipe {self.name!r} has a network for upright images, which is trained "
                "without 'slices' and with the crop convention 'person'; change these, or leave "
                "out 'image'."
            )

    @property
    def _network_config(self) -> NetworkConfig | None:
        return from_mapping(NetworkConfig, "network", self.network) if self.network else None

    @property
    def view(self) -> InputView | None:
        """What a network for upright images sees of a region; None for the whole, in a square."""
        own = self._network_config
        return None if own is None else own.view

    @property
    def crop_view(self) -> InputView:
        """What the square crops that are trained on show of a region."""
        size, view = self.phases[-1].size, self.view
        if view is None:
            return InputView(size, size)
        _, along = view.window
        return InputView(size, size, (along, along), view.background)

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
