"""Pose networks: a backbone followed by a head, built from a small configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgepose.models.backbones.cpm import CPM
from edgepose.models.backbones.cspnext import CSPNeXt
from edgepose.models.backbones.hrnet import HRNet
from edgepose.models.backbones.mobilenet import MobileNetV2
from edgepose.models.backbones.resnet import ResNet
from edgepose.models.options import from_mapping, require_known
from edgepose.models.pose.coordinate_head import GRID, CoordinateHead, Grid
from edgepose.models.pose.heads import DeconvHead, DucHead, Head, PointwiseHead
from edgepose.models.pose.pyramid import PyramidHead
from edgepose.models.pose.views import seen
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v2": MobileNetV2,
    "resnet18": partial(ResNet, 18),
    "resnet34": partial(ResNet, 34),
    "resnet50": partial(ResNet, 50),
    "resnet101": partial(ResNet, 101),
    "hrnet_w48": HRNet,
    "cspnext_s": partial(CSPNeXt, centred=True),
    "cpm": CPM,
    "small_cpm": partial(CPM, largest=3, deviation=None),
}
_CPMS = "cpm", "small_cpm"
HEADS = ("duc", "deconv", "pointwise", "pyramid", "simcc")


@dataclass(frozen=True)
class NetworkConfig:
    """What a pose network is made of.

    Attributes:
        backbone: a name of ``BACKBONES``; ``small_cpm`` is DKD's light CPM, with 3x3 kernels only.
        head: ``duc``, ``deconv``, ``pointwise``, which does not enlarge, ``pyramid`` on
            MobileNet-V2, which always enlarges three times and has no neck, or ``simcc`` on
            CSPNeXt, see `CoordinateHead`.
        stages: how many times the head doubles the size of the features; 2 or 3 for ``simcc``.
        neck: channels of a 1x1 convolution before the head, or None for no neck.
        stride_in_1x1: see ``ResNet``; for ResNet-50 and 101 only.
        pad_after: see ``MobileNetV2``; for weights trained in TensorFlow.
        cpm_stages: how many stages a CPM has.
        dropout: of a CPM, in [0, 1).
        region: side in pixels of the square region that heat-maps are of, for a ``simcc`` head and
            with ``image``.
        image: columns and rows of the upright images of a ``pyramid`` head, see `UprightNetwork`;
            None for square ones of any size.
    """

    backbone: str
    head: str = "duc"
    stages: int = 3
    neck: int | None = None
    stride_in_1x1: bool = False
    pad_after: bool = False
    cpm_stages: int = 6
    dropout: float = 0.5
    region: int = GRID.region
    image: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        require_known("backbone", self.backbone, BACKBONES)
        require_known("head", self.head, HEADS)
        if self.head in ("pyramid", "simcc") and self.neck is not None:
            raise ConfigError(f"A {self.head} head has no neck; leave neck out, or choose duc.")
        if self.stride_in_1x1 and not self.backbone.startswith("resnet"):
            raise ConfigError(f"stride_in_1x1 is for ResNets; the backbone is {self.backbone!r}.")
        is_mobilenet = self.backbone == "mobilenet_v2"
        if (self.pad_after or self.head == "pyramid") and not is_mobilenet:
            raise ConfigError(
                "A pyramid head and pad_after are for mobilenet_v2; the backbone is "
                f"{self.backbone!r}."
            )
        self._require_fitting_head()
        self._require_fitting_image()
        self._require_fitting_cpm()

    def _require_fitting_head(self) -> None:
        if self.head == "pyramid" and self.stages != PyramidHead.stages:
            raise ConfigError(f"A pyramid head has 3 stages; {self.stages} were asked for.")
        if self.head == "simcc" and (self.stages not in (2, 3) or self.region % 32):
            raise ConfigError(
                "A simcc head has 2 or 3 stages and a region that is a multiple of 32 pixels; got "
                f"{self.stages} and {self.region}."
            )
        if (self.head == "simcc") != (self.backbone == "cspnext_s"):
            raise ConfigError(
                "A simcc head and the backbone cspnext_s belong together; got "
                f"{self.head!r} on {self.backbone!r}."
            )

    def _require_fitting_image(self) -> None:
        if self.image is None:
            return
        width, height = self.image
        # Half of what an image shows more or less than the region must be whole cells.
        fits = all(side % 32 == 0 and (side - self.region) % 8 == 0 for side in self.image)
        if self.head != "pyramid" or not fits or not width <= self.region <= height <= 3 * width:
            raise ConfigError(
                "An upright image is for a pyramid head; its columns and rows are multiples of 32, "
                "the columns at most the region's, the rows at least, at most three times the "
                "columns, and both differ from the region by a multiple of 8; got "
                f"{width}x{height} with a region of {self.region} for {self.head}."
            )

    def _require_fitting_cpm(self) -> None:
        if self.backbone in _CPMS and self.head != "pointwise":
            raise ConfigError(
                f"A CPM enlarges nothing: give it a pointwise head; got {self.head!r}."
            )
        if self.backbone not in _CPMS and (self.cpm_stages, self.dropout) != (6, 0.5):
            raise ConfigError(
                f"'cpm_stages' and 'dropout' are for CPMs; the backbone is {self.backbone!r}."
            )

    @property
    def view(self) -> InputView | None:
        """What upright images show of a region; None for square ones."""
        if self.image is None:
            return None
        width, height = self.image
        window = width / self.region, height / self.region
        return InputView(width, height, window, background=(0, 0, 0))

    @property
    def coarsest(self) -> int:
        """Pixels per cell where the network sees least of them; divides the side of its input."""
        return CPM.stride if self.backbone in _CPMS else 32


#: RTMPose-s with heat-maps in the place of coordinates.
RTMPOSE = NetworkConfig("cspnext_s", head="simcc")
#: MoveNet's form, in which it can be a start.
LIGHT_PYRAMID = NetworkConfig("mobilenet_v2", head="pyramid", pad_after=True)


class PoseNetwork(nn.Module):
    """Heat-maps of an image: float32 ``(B, 3, S, S)`` to ``(B, K, S / stride, S / stride)``.

    The input is RGB normalised by ImageNet's mean and deviation. Parameters are named
    ``backbone.*`` and ``head.*``.

    Attributes:
        view: what a network for images of one size sees of a region; it takes such images, too,
            and makes them of other ones. None for a network that takes square images of any size.
        shown: width and height of what these other images show, in parts of the region's.
    """

    def __init__(self, backbone: Any, head: Any, stride: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.stride = stride
        self.view: InputView | None = getattr(head, "view", None)
        self.shown = 1.0, 1.0

    def features(self, image: Tensor) -> Tensor:
        """Return what the last layer sees, ``(B, C, S / stride, S / stride)`` before a 1x1 one."""
        image = self._seen(image)
        pyramid = isinstance(self.head, PyramidHead)
        found = self.backbone.levels(image) if pyramid else self.backbone(image)
        features: Tensor = self.head.features(found)
        return features

    def _seen(self, image: Tensor) -> Tensor:
        if self.view is None or image.shape[-2:] == self.view.shape[:2]:
            return image
        return seen(image, self.view, self.shown)

    def respond(self, features: Tensor) -> Tensor:
        """Return what the last layer says of `features`, ``(B, K, h, w)``."""
        responses: Tensor = self.head.final_layer(features)
        return responses

    def activate(self, responses: Tensor) -> Tensor:
        """Return the heat-maps that the last layer's responses stand for."""
        return self.head.activate(responses) if isinstance(self.head, PyramidHead) else responses

    def classify(self, features: Tensor) -> Tensor:
        """Return the heat-maps of `features`."""
        return self.activate(self.respond(features))

    def supervised(self, image: Tensor) -> list[Tensor]:
        """Return all heat-maps that training supervises: a CPM's earlier stages', then the last."""
        if not isinstance(self.backbone, CPM):
            return [self(image)]
        heatmaps, features = self.backbone.stages(image)
        return [*heatmaps, self.head(features)]

    def forward(self, image: Tensor) -> Tensor:
        """Return the heat-maps."""
        return self.classify(self.features(image))


class UprightNetwork(PoseNetwork):
    """A network for upright images, which shows little of who stands beside the person.

    It is trained on squares as high as its images, and sees their middle columns: ``(B, 3, H, H)``
    to ``(B, K, H / stride, H / stride)``, 0 in the columns that it does not see. Of its images
    ``(B, 3, H, W)`` it returns the heat-maps of the region alone, which is lower and wider:
    ``(B, K, R / stride, R / stride)``.

    Args:
        backbone, head, stride: as for `PoseNetwork`.
        view: what its images show of a region, in the region's own pixels.
    """

    def __init__(self, backbone: Any, head: Any, stride: int, view: InputView) -> None:
        super().__init__(backbone, head, stride)
        self.view = view
        self._columns, self._region = view.width, round(view.width / view.window[0])

    def forward(self, image: Tensor) -> Tensor:
        """Return the heat-maps."""
        height, width = map(int, image.shape[-2:])  # constants in an exported graph
        side = self._region if width < height else height
        hidden = (height - side) // (2 * self.stride)
        beside = (side - self._columns) // (2 * self.stride)
        maps = self.classify(self.features(image))
        maps = maps[..., hidden : height // self.stride - hidden, :]
        # Not by padding, whose widths an exporter would compute in the graph.
        nothing = maps[..., :beside] * 0
        return torch.cat((nothing, maps, nothing), -1)

    def _seen(self, image: Tensor) -> Tensor:
        beside = (int(image.shape[-1]) - self._columns) // 2
        return image[..., beside : beside + self._columns] if beside else image


def build_network(config: NetworkConfig | Mapping[str, Any], joints: int) -> PoseNetwork:
    """Return the network that ``config`` describes, with ``joints`` heat-maps.

    Raises:
        ConfigError: an unknown backbone, head or option, or fewer than one joint.
    """
    if not isinstance(config, NetworkConfig):
        config = from_mapping(NetworkConfig, "network", config)
    if joints < 1:
        raise ConfigError(f"A pose network needs at least one joint; {joints} were asked for.")
    backbone = _build_backbone(config, joints)
    if config.head == "pyramid":
        head: Any = PyramidHead(backbone.level_channels, joints)
    elif config.head == "simcc":
        head = CoordinateHead(backbone.out_channels, joints, grid=_grid(config))
    else:
        head = _build_head(config, backbone.out_channels, joints)
    stride = backbone.stride // 2**head.stages
    if config.view is not None:
        return UprightNetwork(backbone, head, stride, config.view)
    return PoseNetwork(backbone, head, stride)


def _grid(config: NetworkConfig) -> Grid:
    stride = CSPNeXt.stride // 2**config.stages
    return Grid(config.region, config.region // stride, stride, (stride - 1) / 2)


def _build_backbone(config: NetworkConfig, joints: int) -> Any:
    if config.backbone in _CPMS:
        return BACKBONES[config.backbone](joints, config.cpm_stages, config.dropout)
    asked = {"stride_in_1x1": config.stride_in_1x1, "pad_after": config.pad_after}
    return BACKBONES[config.backbone](**{name: True for name, on in asked.items() if on})


def _build_head(config: NetworkConfig, channels: int, joints: int) -> Head:
    if config.head == "pointwise":
        return PointwiseHead(channels, joints, config.neck)
    head = DucHead if config.head == "duc" else DeconvHead
    return head(channels, joints, config.stages, config.neck)
