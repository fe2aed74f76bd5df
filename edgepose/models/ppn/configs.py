"""Named configurations of PPN: every published variant, and the one that is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgepose.models.options import named_config
from edgepose.models.pose.network import LIGHT_PYRAMID, RTMPOSE, NetworkConfig, build_network
from edgepose.models.ppn.flow_ppu import FlowPPU
from edgepose.models.ppn.network import PPN
from edgepose.models.ppn.ppu import PPUConfig, build_ppu
from edgepose_runtime.errors import ConfigError

Options = Mapping[str, Any]
_REFERENCE_PPU = PPUConfig()


@dataclass(frozen=True)
class PPNConfig:
    """What a PPN is made of.

    Attributes:
        body: the network that looks at every frame.
        head: the network that starts a sequence, or None where the body does that too.
        ppu: the propagation unit; the reference form unless stated.
        skip: add the body's heat-maps to the propagated ones.
        input_size: side of the square image in pixels.
    """

    body: NetworkConfig | Options
    head: NetworkConfig | Options | None = None
    ppu: PPUConfig | Options = _REFERENCE_PPU
    skip: bool = True
    input_size: int = 256


def ppn_config(config: PPNConfig | str | Options) -> PPNConfig:
    """Return the configuration of a PPN; see :func:`build_ppn`.

    Raises:
        ConfigError: an unknown name or option, or an option of another type.
    """
    return named_config(PPNConfig, "PPN", config, PPN_CONFIGS)


def build_ppn(config: PPNConfig | str | Options, joints: int) -> PPN:
    """Return the PPN that ``config`` describes, with random weights.

    Args:
        config: a name of ``PPN_CONFIGS``, a configuration, or a mapping of PPNConfig's fields,
            whose optional ``base`` is a name whose other fields are taken over.
        joints: K, the number of heat-maps.

    Raises:
        ConfigError: an unknown name or option, or options that do not fit together.
    """
    config = ppn_config(config)
    body = build_network(config.body, joints)
    head = None if config.head is None else build_network(config.head, joints)
    if head is not None and head.stride != body.stride:
        raise ConfigError(
            f"The head's heat-maps have stride {head.stride}, the body's {body.stride}; "
            "give both networks the same, by the number of stages of their heads."
        )
    ppu = build_ppu(config.ppu, joints, config.input_size // body.stride)
    if isinstance(ppu, FlowPPU) and not config.skip:
        raise ConfigError("A PPU of form 'flow' needs the skip connection; leave skip on.")
    return PPN(head, body, ppu, config.skip)


_HRNET = NetworkConfig("hrnet_w48", head="pointwise")
_SWIFT = NetworkConfig("mobilenet_v2", head="duc", neck=256)
# With this neck, which the paper does not mention, the counted operations are the published ones.
_STABLE = NetworkConfig("resnet18", head="duc", neck=512)
# One 16x16 field of flows for all joints: as accurate as more of them, and a quarter of the time
# of three dilations for each joint (benchmarks/README.md, "Propagation units").
_EDGE_PPU = PPUConfig("flow", ppu_channels=16, ppu_blocks=2, grid_stride=4)


def _deconv(depth: int, stages: int = 3) -> NetworkConfig:
    return NetworkConfig(f"resnet{depth}", head="deconv", stages=stages)


def _published() -> dict[str, PPNConfig]:
    """Return the variants of the paper's tables, each with and without the skip connection."""
    variants = {
        "ppn-stable-published": PPNConfig(_STABLE, _HRNET),
        "ppn-swift-published": PPNConfig(_SWIFT, _HRNET),
    }
    for depth in (18, 34, 50, 101):  # Table 1
        variants[f"ppn-resnet{depth}"] = PPNConfig(_deconv(depth), _deconv(depth))
    for depth in (18, 34, 50):  # Table 4
        variants[f"ppn-resnet{depth}-stride8"] = PPNConfig(_deconv(depth, 2), _deconv(101, 2))
    without = {f"{name}-no-skip": replace(it, skip=False) for name, it in variants.items()}
    return {**variants, **without}


# In "ppn-stable": RTMPose-s as the body, with the propagation unit of the edge form.
# In "ppn-swift": finer features beside the last ones, a decoder that costs an eighth of the DUC,
# and 192 pixels instead of 256: a third of the published operations.
PPN_CONFIGS: dict[str, PPNConfig] = {
    "ppn-swift": PPNConfig(LIGHT_PYRAMID, LIGHT_PYRAMID, _EDGE_PPU, input_size=192),
    "ppn-stable": PPNConfig(RTMPOSE, RTMPOSE, _EDGE_PPU, input_size=192),
    **_published(),
}
