"""How DKD's generator is held against a discriminator, as a table of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgepose.models.options import from_mapping
from edgepose.models.pose.network import NetworkConfig
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True)
class AdversarySettings:
    """Temporally adversarial training (DKD, Algorithm 1).

    Attributes:
        network: of D; see `edgepose.models.NetworkConfig`. Not with a pyramid, whose sigmoid leaves
            no change below zero.
        kind: ``temporal``: D reconstructs the change between two frames. ``spatial``: the heat-maps
            of each frame, which is an ablation.
        shrink: by which D's pictures are made smaller. Its network then has to enlarge more: its
            stride times this is that of the heat-maps.
        weight: η, of the adversarial term in the generator's loss; 0 trains without D.
        gain: γ, how fast λ moves. The errors it is driven by are small where heat-maps are mostly
            empty, so that a published step hardly moves it in a short run.
        rate_factor: D's learning rate, as a factor on the generator's.
        backbone: a file of weights that D's backbone starts from; empty for drawn ones.
    """

    network: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["temporal", "spatial"] = "temporal"
    shrink: int = 1
    weight: float = 0.1
    gain: float = 0.1
    rate_factor: float = 1.0
    backbone: str = ""

    def __post_init__(self) -> None:
        if from_mapping(NetworkConfig, "discriminator's network", self.network).head == "pyramid":
            raise ConfigError(
                "A discriminator cannot have a pyramid head: its maps end at 0, and changes do "
                "not; choose duc or deconv for adversary.network.head."
            )
        if self.shrink < 1 or self.weight < 0 or self.gain < 0 or not self.rate_factor > 0:
            raise ConfigError(
                "A discriminator needs 'shrink' of at least 1, 'weight' and 'gain' of at least 0 "
                f"and a 'rate_factor' above 0; got {self}."
            )

    @property
    def frames(self) -> int:
        """How many frames D sees at once."""
        return 2 if self.kind == "temporal" else 1
