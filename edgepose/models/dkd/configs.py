"""Named configurations of DKD: every published variant, its ablations, and the edge form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgepose.models.dkd.distillator import ConvLstm, PoseKernels, kernel_size
from edgepose.models.dkd.network import DKD, Memory
from edgepose.models.options import from_mapping, named_config, require_known
from edgepose.models.pose.network import LIGHT_PYRAMID, NetworkConfig, PoseNetwork, build_network
from edgepose_runtime.errors import ConfigError

Options = Mapping[str, Any]
MEMORIES = ("kernels", "lstm", "none")
_SMALL_CPM = NetworkConfig("small_cpm", head="pointwise", neck=256)


@dataclass(frozen=True)
class DKDConfig:
    """What a DKD is made of.

    Attributes:
        encoder: F, the network that looks at every frame, whose features before the last layer
            count.
        initialiser: P, the network that starts a sequence, or None where the encoder does that too.
        memory: ``kernels``; for the ablations ``lstm``, or ``none`` for the encoder alone.
        pooling, narrow: see `PoseKernels`.
        channels: of the kernels, or of the LSTM; None for as many as the features have.
        skip: see `DKD`.
        input_size: side of the square image in pixels.
    """

    encoder: NetworkConfig | Options
    initialiser: NetworkConfig | Options | None = None
    memory: str = "kernels"
    pooling: int = 1
    narrow: bool = False
    channels: int | None = None
    skip: bool = False
    input_size: int = 256

    def __post_init__(self) -> None:
        require_known("memory", self.memory, MEMORIES)
        if self.pooling < 1 or (self.channels is not None and self.channels < 1):
            raise ConfigError(
                "A DKD needs 'pooling' and 'channels' of at least 1; got "
                f"{self.pooling} and {self.channels}."
            )


def dkd_config(config: DKDConfig | str | Options) -> DKDConfig:
    """Return the configuration of a DKD; see :func:`build_dkd`.

    Raises:
        ConfigError: an unknown name or option, or an option of another type.
    """
    return named_config(DKDConfig, "DKD", config, DKD_CONFIGS)


def build_dkd(config: DKDConfig | str | Options, joints: int) -> DKD:
    """Return the DKD that ``config`` describes, with random weights.

    Args:
        config: a name of ``DKD_CONFIGS``, a configuration, or a mapping of DKDConfig's fields,
            whose optional ``base`` is a name whose other fields are taken over.
        joints: K, the number of heat-maps.

    Raises:
        ConfigError: an unknown name or option, or options that do not fit together.
    """
    config = dkd_config(config)
    encoder, channels = _encoder(config, joints)
    initialiser = None if config.initialiser is None else build_network(config.initialiser, joints)
    if initialiser is not None and initialiser.stride != encoder.stride:
        raise ConfigError(
            f"The initialiser's heat-maps have stride {initialiser.stride}, the encoder's "
            f"{encoder.stride}; give both the same, by the number of stages of their heads."
        )
    require_grid(config, config.input_size, encoder.stride)
    return DKD(encoder, _memory(config, joints, channels), initialiser, config.skip)


def require_grid(config: DKDConfig, size: int, stride: int) -> None:
    """Refuse an input whose cells cannot be pooled, or give no kernels.

    Args:
        config: of the DKD.
        size: side of the input in pixels.
        stride: pixels per cell of the encoder's features.

    Raises:
        ConfigError: the number of cells is no multiple of ``pooling``, kernels would be even, or
            the initialiser is for input of another size.
    """
    cells = size // stride
    _require_region(config, size)
    if config.memory != "none" and cells % config.pooling:
        raise ConfigError(
            f"Input of {size} pixels gives {cells} cells a side, which 'pooling' of "
            f"{config.pooling} does not divide; give a multiple of "
            f"{config.pooling * stride} pixels."
        )
    kernel_size(cells // config.pooling)


def _require_region(config: DKDConfig, size: int) -> None:
    """Refuse an initialiser with a ``simcc`` head for regions of another size."""
    initialiser = config.initialiser
    if initialiser is not None and not isinstance(initialiser, NetworkConfig):
        initialiser = from_mapping(NetworkConfig, "network", initialiser)
    if initialiser is not None and initialiser.head == "simcc" and initialiser.region != size:
        raise ConfigError(
            f"The initialiser gives heat-maps of regions of {initialiser.region} pixels, but the "
            f"input has {size}; give it a 'region' of {size}."
        )


def _encoder(config: DKDConfig, joints: int) -> tuple[PoseNetwork, int]:
    network = build_network(config.encoder, joints)
    return network, int(network.head.final_layer.in_channels)


def _memory(config: DKDConfig, joints: int, features: int) -> Memory | None:
    if config.memory == "kernels":
        return PoseKernels(joints, features, config.channels, config.pooling, config.narrow)
    if config.memory == "lstm":
        return ConvLstm(joints, features, config.channels, config.pooling)
    return None


def _deconv(depth: int) -> NetworkConfig:
    return NetworkConfig(f"resnet{depth}", head="deconv", stages=2)


def _published() -> dict[str, DKDConfig]:
    """Return the variants of the paper's tables."""
    return {
        "dkd-small-cpm": DKDConfig(_SMALL_CPM, _deconv(101)),
        **{f"dkd-resnet{depth}": DKDConfig(_deconv(depth), _deconv(101)) for depth in (18, 34, 50)},
    }


def _with_ablations(variants: Mapping[str, DKDConfig]) -> dict[str, DKDConfig]:
    lstm = {f"{name}-lstm": replace(it, memory="lstm") for name, it in variants.items()}
    alone = {f"{name}-no-pkd": replace(it, memory="none") for name, it in variants.items()}
    return {**variants, **lstm, **alone}


# The body of ppn-swift, with features 96x48x48. The encoder starts sequences too, so that a device
# holds one network; what 16 kernels of 5x5 find at stride 8 adds to what it sees. There the kernels
# are matched where they were distilled, and a quarter of the cells has to be.
_SWIFT = DKDConfig(
    LIGHT_PYRAMID,
    pooling=2,
    narrow=True,
    channels=16,
    skip=True,
    input_size=192,
)

DKD_CONFIGS: dict[str, DKDConfig] = _with_ablations({"dkd-swift": _SWIFT, **_published()})
