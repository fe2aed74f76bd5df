"""Recipes of key-frame selectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgepose.models.keyframes.kfpn import KfpnConfig
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True)
class SelectionTraining:
    """How a selector, or its discriminator for streams, is trained.

    Attributes:
        epochs: how often each clip is seen, one random window at a time.
        rate: learning rate.
        momentum: of SGD; ``None`` for Adam.
        decay: weight decay.
        milestones: parts of the training, 0 to 1, after which the rate is divided by ten.
        alpha_slope: how much steeper the selection gets with each epoch; 0 to keep the steepness.
        decide: count each frame as chosen or not, instead of by its selection from 0 to 1. Without
            that a little of every frame costs as much as a few whole ones and explains more, so
            that training ends with no frame chosen. The published recipes have it not.
        keys: how many key frames a window of 40 gets while training: scores count from the least of
            the best so many on, and the bias follows, so that as many are chosen afterwards.
        bfloat16: compute the convolutions over space in that.
        freeze_first: keep the first of them as it starts. Its outputs are then computed once, and
            an epoch takes an eighth of the time.
        seed: of the windows and their order.
    """

    epochs: int
    rate: float
    momentum: float | None = None
    decay: float = 1e-3
    milestones: tuple[float, ...] = ()
    alpha_slope: float = 0.0
    decide: bool = False
    keys: float | None = None
    bfloat16: bool = False
    freeze_first: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.rate <= 0 or self.decay < 0:
            raise ConfigError(f"Training needs epochs and a learning rate above 0; got {self}.")
        if not all(0 < share < 1 for share in self.milestones):
            raise ConfigError(f"Milestones must be between 0 and 1; got {self.milestones}.")


@dataclass(frozen=True)
class SelectorConfig:
    """A recipe of K-FPN and of its discriminator for streams, on the clips of JHMDB.

    Attributes:
        name: of the recipe.
        kind: ``"kfpn"``, the published network on a frozen ResNet, trained by Eq. 16 on its
            features; ``"kfpn-edge"``, rates of key frames from the body network's own trunk at 96
            pixels, trained by Eq. 16 on the body's poses in the annotated boxes.
        start: file of the frozen network: ``backbone``, a ResNet of ImageNet, or ``body``, a
            checkpoint of the body network.
        selector: how the selector is trained. The edge form takes ``epochs``, ``rate``, ``decay``
            and ``seed`` of it.
        online: how the discriminator is trained.
        network: what the published network is made of, and what it minimises.
        model: bundle with that body, whose poses the edge form learns from.
        depth: layers of the published form's ResNet: 18, 34, 50 or 101. ``network.channels`` is 512
            for the first two, else 2048.
        stride_in_1x1: where the weights of a ResNet-50 or 101 have their stride: in the 1x1
            convolutions, as those of Caffe and Keras, or in the 3x3, as torchvision's. The file
            does not tell, and features are wrong with the other form.
        discriminator: ``"small"``, which compares Y in some 1x1 convolutions; or ``"published"``,
            which compares the ResNet's features: hundreds of times more computation.
        limit_clips: train on at most so many clips, at even distances; ``None`` for all.
        features: folder that keeps the frozen network's features; empty for one in the run's own.
    """

    name: str
    kind: Literal["kfpn", "kfpn-edge"]
    start: Mapping[str, str]
    selector: SelectionTraining
    online: SelectionTraining
    network: KfpnConfig = field(default_factory=KfpnConfig)
    model: str = "ppn-swift"
    depth: int = 50
    stride_in_1x1: bool = False
    discriminator: Literal["small", "published"] = "small"
    limit_clips: int | None = None
    features: str = ""

    def __post_init__(self) -> None:
        if set(self.start) != {self.frozen_part}:
            raise ConfigError(
                f"A recipe of the kind {self.kind!r} starts from start.{self.frozen_part} alone; "
                f"got {sorted(self.start)}."
            )
        if self.kind == "kfpn-edge" and self.discriminator == "published":
            raise ConfigError(
                "The published discriminator compares features of a ResNet; leave "
                "discriminator=published out for a recipe of the kind 'kfpn-edge'."
            )
        if self.limit_clips is not None and self.limit_clips < 1:
            raise ConfigError(f"The option 'limit_clips' must be 1 or more; got {self}.")

    @property
    def frozen_part(self) -> str:
        """Name in ``start`` of the frozen network."""
        return "backbone" if self.kind == "kfpn" else "body"

    @property
    def total_steps(self) -> int:
        """Epochs of the selector and of the discriminator."""
        return self.selector.epochs + self.online.epochs

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored beside the checkpoint."""
        return dataclasses.asdict(self)
