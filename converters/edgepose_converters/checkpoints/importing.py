"""Public checkpoints: HRNet, SimpleBaselines and torchvision, with the fate of every weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgepose.models.backbones.hrnet import HRNet
from edgepose.models.backbones.mobilenet import MobileNetV2
from edgepose.models.backbones.resnet import ResNet
from edgepose.models.backbones.weights import (
    COUNTER,
    backbone_name,
    load_backbone_weights,
    load_published_weights,
    published_name,
)
from edgepose.models.pose.heads import PointwiseHead
from edgepose.models.pose.network import PoseNetwork, build_network
from edgepose.training.checkpoint import load_weights
from edgepose.training.tasks.networks import convert_outputs
from edgepose_converters.checkpoints.trained import TrainedModel
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.errors import CheckpointError, ConfigError, OutputError
from edgepose_runtime.poses.skeletons import COCO17, MPII16, Skeleton

Weights = Mapping[str, Tensor]

#: What each weight may have become.
MATCHED, CONVERTED, UNUSED, MISSING = "matched", "converted", "unused", "missing"
POSE_FORMS = ("hrnet", "simple-baselines")
BACKBONE_FORM = "torchvision"

# Blocks of layer3 and whether they are bottlenecks, by depth.
_DEPTHS = {(2, False): 18, (6, False): 34, (6, True): 50, (23, True): 101}
_LAST = "final_layer.weight"
_SKELETONS = {skeleton.num_joints: skeleton for skeleton in (MPII16, COCO17)}


@dataclass(frozen=True)
class ImportedKey:
    """What became of one weight.

    Attributes:
        key: its name in the file; "" where the file lacks it.
        target: its name in the network; "" where the network has no place for it.
        fate: ``matched`` (taken as it is), ``converted`` (with other values), ``unused`` (the
            network has no place for it) or ``missing`` (the file lacks it).
        shape: its shape in the network, or else in the file.
    """

    key: str
    target: str
    fate: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ImportReport:
    """What became of every weight of a file and of a network."""

    fates: tuple[ImportedKey, ...]

    def count(self, fate: str) -> int:
        """Return how many weights have that fate."""
        return Counter(each.fate for each in self.fates)[fate]

    def of(self, *fates: str) -> list[ImportedKey]:
        """Return the weights with one of those fates."""
        return [each for each in self.fates if each.fate in fates]


def import_pose_network(
    path: str | Path,
    form: str,
    *,
    skeleton: Skeleton | None = None,
    input_size: int = 256,
    stride_in_1x1: bool = False,
) -> tuple[TrainedModel, ImportReport]:
    """Read a published pose network; its size and joints are seen from its weights.

    Args:
        path: the file, as its authors published it.
        form: ``hrnet`` or ``simple-baselines``.
        skeleton: convert the last layer to these joints; None keeps those of the file.
        input_size: side of the image in pixels, which the weights do not tell.
        stride_in_1x1: the ResNet's bottlenecks have their stride as Caffe's do.

    Raises:
        CheckpointError: the file is missing, damaged or of another form, or lacks weights.
        ConfigError: there is no such form.
    """
    if form not in POSE_FORMS:
        raise ConfigError(f"There is no form {form!r}; choose one of {', '.join(POSE_FORMS)}.")
    weights = load_weights(path).values
    own = _own_skeleton(weights, path)
    target = skeleton or own
    converted = convert_outputs(weights, own, target)
    network = _BUILDERS[form](_plain(weights), target.num_joints, stride_in_1x1)
    load_published_weights(network, converted)
    report = _report(weights, converted, network, published_name)
    _require_complete(report, path)
    stride = network.stride
    return TrainedModel(
        network=network.eval(),
        skeleton=target,
        input_size=input_size,
        # Their cells begin on the first pixel.
        heatmap=HeatmapSpec(input_size // stride, float(stride), 0.0),
        training={"imported": f"{Path(path).name}, a published checkpoint of the form {form}"},
    ), report


def import_backbone(path: str | Path) -> tuple[nn.Module, ImportReport]:
    """Read a classifier of torchvision as a backbone: ResNet-18, 34, 50, 101 or MobileNet-V2.

    Raises:
        CheckpointError: the file is missing, damaged or of another network, or lacks weights.
    """
    weights = load_weights(path).values
    plain = {backbone_name(name): value for name, value in weights.items()}
    mobile = any(name.startswith("features.") for name in plain)
    backbone = MobileNetV2() if mobile else ResNet(_depth(plain))
    load_backbone_weights(backbone, weights)
    report = _report(weights, weights, backbone, backbone_name)
    _require_complete(report, path)
    return backbone.eval(), report


def check_weights_target(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace weights unasked, before any work is done for them.

    Raises:
        OutputError: there is something already, and it is not to be overwritten.
    """
    if out.exists() and not overwrite:
        raise OutputError(f"There is something at {out} already; give --overwrite to replace it.")


def save_weights(network: nn.Module, out: Path) -> None:
    """Write a network's weights where a recipe's ``start`` finds them.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), temporary)
        temporary.replace(out)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"The weights {out} cannot be written: {error}.") from error


def _report(
    weights: Weights, converted: Weights, network: nn.Module, named: Callable[[str], str]
) -> ImportReport:
    wanted = network.state_dict()
    fates = [
        _fate(key, named(key), value is not converted[key], wanted, value)
        for key, value in weights.items()
    ]
    covered = {fate.target for fate in fates}
    fates += [
        ImportedKey("", name, MISSING, tuple(value.shape))
        for name, value in wanted.items()
        if name not in covered
    ]
    return ImportReport(tuple(fates))


def _fate(key: str, target: str, changed: bool, wanted: Weights, value: Tensor) -> ImportedKey:
    if target not in wanted:
        return ImportedKey(key, "", UNUSED, tuple(value.shape))
    return ImportedKey(key, target, CONVERTED if changed else MATCHED, tuple(wanted[target].shape))


def _require_complete(report: ImportReport, path: str | Path) -> None:
    """Refuse a network some of whose weights would be random."""
    missing = [each.target for each in report.of(MISSING) if not each.target.endswith(COUNTER)]
    if missing:
        raise CheckpointError(
            f"The checkpoint {path} lacks {len(missing)} of the network's weights, "
            f"{missing[0]!r} first; it is cut off, or of another form."
        )


def _own_skeleton(weights: Weights, path: str | Path) -> Skeleton:
    last = next((value for name, value in weights.items() if name.endswith(_LAST)), None)
    if last is None or len(last) not in _SKELETONS:
        known = " or ".join(f"{count} ({each.name})" for count, each in _SKELETONS.items())
        found = "none" if last is None else str(len(last))
        raise CheckpointError(
            f"The last layer {_LAST!r} of the checkpoint {path} must have {known} outputs, but "
            f"has {found}."
        )
    return _SKELETONS[len(last)]


def _plain(weights: Weights) -> dict[str, Tensor]:
    return {name.removeprefix("module."): value for name, value in weights.items()}


def _hrnet(weights: Weights, joints: int, stride_in_1x1: bool) -> PoseNetwork:
    if stride_in_1x1:
        raise ConfigError("stride_in_1x1 is for ResNets; HRNet has no such layers.")
    finest = weights.get("transition1.0.0.weight")
    if finest is None:
        raise CheckpointError("The checkpoint lacks 'transition1.0.0.weight', so it is no HRNet.")
    return PoseNetwork(HRNet(len(finest)), PointwiseHead(len(finest), joints), HRNet.stride)


def _simple_baselines(weights: Weights, joints: int, stride_in_1x1: bool) -> PoseNetwork:
    config = {
        "backbone": f"resnet{_depth(weights)}",
        "head": "deconv",
        "stages": sum(_is_deconvolution(name, value) for name, value in weights.items()),
        "stride_in_1x1": stride_in_1x1,
    }
    return build_network(config, joints)


def _is_deconvolution(name: str, value: Tensor) -> bool:
    """Whether a weight is a transposed convolution's, and not one of the norms between them."""
    return name.startswith("deconv_layers.") and value.ndim > 1


def _depth(weights: Weights) -> int:
    blocks = {name.split(".")[1] for name in weights if name.startswith("layer3.")}
    bottlenecks = "layer1.0.conv3.weight" in weights
    depth = _DEPTHS.get((len(blocks), bottlenecks))
    if depth is None:
        raise CheckpointError(
            f"The checkpoint is no ResNet of 18, 34, 50 or 101 layers: its layer3 has "
            f"{len(blocks)} blocks."
        )
    return depth


_BUILDERS: dict[str, Callable[[Weights, int, bool], PoseNetwork]] = {
    "hrnet": _hrnet,
    "simple-baselines": _simple_baselines,
}


@torch.no_grad()
def fill_convolution(
    layer: nn.Conv2d, norm: nn.BatchNorm2d | None, weight: Tensor, bias: Tensor | None
) -> None:
    """Give a convolution weights that a batch norm was folded into; the norm then changes nothing.

    Args:
        layer: receives the weight, and the bias where no norm follows it.
        norm: what follows the layer, fresh, or None; receives the bias.
        weight: of the layer's shape.
        bias: None for none.
    """
    layer.weight.copy_(weight)
    if norm is not None and norm.running_var is not None:
        norm.running_var.fill_(1 - norm.eps)
    target = layer.bias if norm is None else norm.bias
    if target is not None and bias is not None:
        target.copy_(bias)
