"""The network that a recipe describes, new or with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgepose.inference.model import bundle_path
from edgepose.models import (
    DKD,
    PPN,
    FlowPPU,
    MessagePassing,
    PoseNetwork,
    build_dkd,
    build_network,
    build_ppn,
    load_backbone_weights,
    load_published_weights,
)
from edgepose.models.backbones.imagenet import MEAN, STD
from edgepose.models.dkd.configs import dkd_config, require_grid
from edgepose.models.pose.pyramid import PyramidHead
from edgepose.models.thin_slicing.network import SliceNetwork
from edgepose.training.checkpoint import load_checkpoint, load_weights
from edgepose.training.config.files import find_weights
from edgepose.training.config.loader import RECIPES, parse_config
from edgepose.training.config.sequences import SliceSettings
from edgepose.training.config.settings import TrainConfig
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.springs_json import read_springs
from edgepose_runtime.errors import CheckpointError, ConfigError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import MPII16, Skeleton
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import Springs, initial_springs, resized, signed

_OUTPUTS = ("final_layer.weight", "final_layer.bias")


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        module: a `PoseNetwork`, a `PPN` or a `DKD`, in evaluation mode.
        config: the recipe.
        step: how many steps of it were done.
        training: what was learned from, for a model card.
    """

    module: nn.Module
    config: TrainConfig
    step: int
    training: Mapping[str, Any]


def build_module(config: TrainConfig) -> nn.Module:
    """The network of a recipe with random weights: `PoseNetwork`; `PPN` or `DKD` for sequences.

    With ``slices`` message passing stands behind the `PoseNetwork`, as a `SliceNetwork`.

    Raises:
        ConfigError: its options do not fit each other, the targets or the input sizes.
    """
    if config.ppn is not None:
        return _build_ppn(config, config.ppn)
    if config.dkd is not None:
        return _build_dkd(config, config.dkd)
    network = build_network(config.network, config.joints.num_joints)
    _require_stride(network.stride, config)
    return network if config.slices is None else _with_messages(network, config, config.slices)


def _with_messages(
    network: PoseNetwork, config: TrainConfig, settings: SliceSettings
) -> SliceNetwork:
    cells = config.phases[-1].size // config.targets.stride
    if settings.springs:
        springs = resized(_springs_of(settings.springs, config), cells)
    else:
        graph = body_graph(config.joints, settings.reach)
        springs = initial_springs(graph, heatmap_size=cells, rounds=settings.rounds)
    if settings.loss != "choice" and not _are_signed(springs):
        springs = signed(springs)
    bends = settings.before_sigmoid and isinstance(network.head, PyramidHead)
    return SliceNetwork(network, MessagePassing(springs), before_sigmoid=bends)


def _are_signed(springs: Springs) -> bool:
    """Whether scores begin at about -1, as the hinge wants them, and not at 0."""
    return float(springs.bias.mean()) < -0.5


def _springs_of(name: str, config: TrainConfig) -> Springs:
    """Read springs from a file, also beside the recipes, or from a bundle by name or folder."""
    if Path(name).suffix == ".json":
        beside = RECIPES / name  # shipped with the recipes
        springs: Springs | None = read_springs(beside if beside.is_file() else name)
    else:
        springs = load_bundle(bundle_path(name)).springs()
    if springs is None:
        raise ConfigError(
            f"The bundle {name!r} has no springs to start from; give slices.springs=FILE, which "
            "edgepose springs makes, or leave it empty for soft ones."
        )
    if springs.graph.skeleton.name != config.joints.name:
        raise ConfigError(
            f"The springs {name!r} are for {springs.graph.skeleton.name}, the recipe "
            f"{config.name!r} for {config.joints.name}; they must be for the same."
        )
    return springs


def _build_ppn(config: TrainConfig, ppn: str | Mapping[str, Any]) -> PPN:
    options: dict[str, Any] = {"base": ppn} if isinstance(ppn, str) else dict(ppn)
    if config.sequence is not None and not config.sequence.head:
        options["head"] = None
    network = build_ppn(options, config.joints.num_joints)
    _require_stride(network.body.stride, config)
    if isinstance(network.ppu, FlowPPU):
        size = network.ppu.size * config.targets.stride
        if any(phase.size != size for phase in config.phases):
            raise ConfigError(
                f"The PPU is built for input of {size} pixels: train it in phases of that size, or "
                "give another input_size."
            )
    return network


def _build_dkd(config: TrainConfig, dkd: str | Mapping[str, Any]) -> DKD:
    options: dict[str, Any] = {"base": dkd} if isinstance(dkd, str) else dict(dkd)
    if config.sequence is not None and not config.sequence.head:
        options["initialiser"] = None
    network = build_dkd(options, config.joints.num_joints)
    _require_stride(network.encoder.stride, config)
    for phase in config.phases:
        require_grid(dkd_config(options), phase.size, network.encoder.stride)
    return network


def _require_stride(stride: Any, config: TrainConfig) -> None:
    if stride != config.targets.stride:
        raise ConfigError(
            f"The network's heat-maps have stride {stride}, the targets of the recipe "
            f"{config.name!r} {config.targets.stride}; they must be the same."
        )


def load_trained(path: str | Path) -> Trained:
    """The network of a checkpoint with its averaged weights.

    Raises:
        CheckpointError: missing, damaged, or its weights do not fit the network it describes.
    """
    content = load_checkpoint(path)
    config = parse_config(content["config"])
    module = build_module(config)
    _load(module, content["ema"], f"the checkpoint {path}")
    return Trained(module.eval(), config, int(content["step"]), content["training"])


def start_from(module: nn.Module, config: TrainConfig, root: Path) -> None:
    """Load the weights that a recipe starts from.

    They may come from another recipe's checkpoint, its skeleton included; a classifier, for a part
    that is a backbone; or a published checkpoint of SimpleBaselines or HRNet.

    Args:
        module: receives them.
        config: its ``start`` names files by the part of `module` they go to; ``all`` is the module.
        root: folder of files that the working directory does not have.

    Raises:
        CheckpointError: a file is missing or damaged, or does not fit; a part does not exist.
    """
    for part, name in config.start.items():
        path = find_weights(name, root)
        target, source = named_part(module, part), load_weights(path)
        if part.split(".")[-1] == "backbone":
            load_backbone_weights(target, source.values)
            continue
        values = convert_outputs(source.values, source.skeleton or MPII16, config.joints)
        if source.skeleton is None:
            load_published_weights(target, values)
        else:
            _load(target, values, str(path))


def named_part(module: nn.Module, name: str) -> nn.Module:
    """A part of a module by its dotted name; ``all`` is the module itself.

    Raises:
        CheckpointError: there is no such part.
    """
    try:
        return module if name == "all" else module.get_submodule(name)
    except AttributeError:
        parts = ", ".join(["all", *(child for child, _ in module.named_children())])
        raise CheckpointError(
            f"The network has no part {name!r}; its largest ones are {parts}."
        ) from None


def convert_outputs(
    weights: Mapping[str, Tensor], source: Skeleton, target: Skeleton
) -> dict[str, Tensor]:
    """Make the last layer of a network give the joints of another skeleton.

    A joint that is the mean of others (the head of MPII's head top and upper neck) gets the mean
    of their rows; one that the source does not have gets zeros.

    Args:
        weights: by name; those that end in ``final_layer.weight`` and ``.bias`` change.
        source: the skeleton they were trained for.
        target: the skeleton to change to.
    """
    if source.name == target.name:
        return dict(weights)
    mix = joint_mix(source, target)
    return {
        name: torch.einsum("ts,s...->t...", mix, value)
        if name.endswith(_OUTPUTS) and len(value) == source.num_joints
        else value
        for name, value in weights.items()
    }


def joint_mix(source: Skeleton, target: Skeleton) -> Tensor:
    """Return which joints of a skeleton make up each of another, ``(K target, K source)``.

    Rows add up to 1, or are 0 for joints that the source does not have.
    """
    # The conversion is linear, so each joint alone at 1 shows what it contributes to the others.
    single = np.repeat(np.eye(source.num_joints, dtype=np.float32)[:, :, None], 2, axis=2)
    mix = np.nan_to_num(convert_keypoints(single, source, target)[:, :, 0])
    return torch.from_numpy(mix.T.copy())


def network_input(image: Tensor) -> Tensor:
    """uint8 BGR (..., S, S, 3) to RGB normalised by ImageNet's moments, float32 (..., 3, S, S)."""
    mean = torch.tensor(MEAN, device=image.device) * 255
    std = torch.tensor(STD, device=image.device) * 255
    return ((image.flip(-1).float() - mean) / std).movedim(-1, -3)


def _load(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"The weights of {name} do not fit the network: {error}") from error
