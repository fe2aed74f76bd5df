"""Pose networks: a backbone followed by a head, built from a small configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

from edgepose.models.heads import DucHead, PointwiseHead
from edgepose.models.mobilenet import MobileNetV2
from edgepose_runtime.errors import ConfigError


@dataclass(frozen=True)
class NetworkConfig:
    """What a pose network is made of.

    Attributes:
        backbone: a name of ``BACKBONES``.
        head: ``duc`` or ``pointwise``.
        stages: how many times the head doubles the size of the features.
        neck: channels of a 1x1 convolution before the head, or None for no neck.
    """

    backbone: str
    head: str = "duc"
    stages: int = 3
    neck: int | None = None

    def __post_init__(self) -> None:
        _require_name("backbone", self.backbone, BACKBONES)
        _require_name("head", self.head, HEADS)

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> NetworkConfig:
        """Return the configuration in ``options``; ConfigError names an option it lacks."""
        known = {field.name for field in fields(cls)}
        for name in options:
            _require_name("network option", name, known)
        if "backbone" not in options:
            raise ConfigError("A network configuration needs a 'backbone'; none was given.")
        return cls(**options)


class PoseNetwork(nn.Module):
    """Heat-maps of one image: float32 ``(B, 3, S, S)`` to ``(B, K, S / stride, S / stride)``.

    The input is RGB normalised by ImageNet's mean and deviation. Parameters are named
    ``backbone.*`` and ``head.*``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, stride: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor:
        heatmaps: Tensor = self.head(self.backbone(image))
        return heatmaps


def _duc(channels: int, joints: int, config: NetworkConfig) -> DucHead:
    return DucHead(channels, joints, config.stages, config.neck)


def _pointwise(channels: int, joints: int, config: NetworkConfig) -> PointwiseHead:
    return PointwiseHead(channels, joints)


BACKBONES: dict[str, Callable[[], nn.Module]] = {"mobilenet_v2": MobileNetV2}
HEADS: dict[str, Callable[[int, int, NetworkConfig], nn.Module]] = {
    "duc": _duc,
    "pointwise": _pointwise,
}


def build_network(config: NetworkConfig | Mapping[str, Any], joints: int) -> PoseNetwork:
    """Return the network that ``config`` describes, with ``joints`` heat-maps.

    Raises:
        ConfigError: an unknown backbone, head or option, or fewer than one joint.
    """
    if not isinstance(config, NetworkConfig):
        config = NetworkConfig.from_mapping(config)
    if joints < 1:
        raise ConfigError(f"A pose network needs at least one joint; {joints} were asked for.")
    backbone: Any = BACKBONES[config.backbone]()
    head: Any = HEADS[config.head](backbone.out_channels, joints, config)
    return PoseNetwork(backbone, head, backbone.stride // 2**head.stages)


def _require_name(kind: str, name: str, known: Any) -> None:
    if name not in known:
        raise ConfigError(f"There is no {kind} {name!r}; choose one of {', '.join(sorted(known))}.")
