"""The input of key-frame selectors: a frozen backbone's features, computed once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgepose.models.backbones.mobilenet import MobileNetV2
from edgepose.models.backbones.resnet import ResNet
from edgepose.models.backbones.weights import load_backbone_weights
from edgepose.offline.windows import middle_crop
from edgepose.training.checkpoint import load_weights
from edgepose.training.devices import move
from edgepose.training.tasks.networks import load_trained, network_input
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import CheckpointError, DataError
from edgepose_runtime.geometry.crop import Image

Features = NDArray[np.floating]

#: The trunk: MobileNet-V2 up to its 64 channels at stride 16, on crops of this size.
TRUNK_LAYERS, TRUNK_SIZE = 11, 96
#: The published backbone's crops: 224 pixels of a shorter side of 256.
RESNET_SIZE, RESNET_SHARE = 224, 224 / 256
#: Frames that go through a backbone at a time.
_BATCH = 8


@dataclass(frozen=True)
class Backbone:
    """A frozen network and its crop of a frame.

    Attributes:
        module: takes (n, 3, S, S) and returns (n, C, h, w).
        compute: the same on arrays.
        size: S.
        share: of the frame's shorter side that the side of the middle square has.
    """

    module: nn.Module
    compute: Callable[[Tensor], NDArray[np.float32]]
    size: int
    share: float = 1.0

    @torch.inference_mode()
    def features(self, frames: Iterable[Image]) -> NDArray[np.float32]:
        """Return the features (n, C, h, w) of the middle squares of frames."""
        crops = np.stack([middle_crop(frame, self.size, self.share) for frame in frames])
        found = [
            self.compute(network_input(torch.from_numpy(crops[at : at + _BATCH])))
            for at in range(0, len(crops), _BATCH)
        ]
        return np.concatenate(found).astype(np.float32)

    def digest(self) -> str:
        """Return a text that differs for other weights, strides or crops."""
        strides = [each.stride for each in self.module.modules() if isinstance(each, nn.Conv2d)]
        content = hashlib.sha256(f"{self.size} {self.share} {strides}".encode())
        for name, value in self.module.state_dict().items():
            content.update(name.encode() + value.numpy().tobytes())
        return content.hexdigest()


def new_trunk(pad_after: bool = False) -> nn.Sequential:
    """Return the layers of MobileNet-V2 that features are taken from."""
    return _trunk_of(MobileNetV2(pad_after))


def trunk_of_body(path: Path) -> Backbone:
    """Return the trunk of a trained body network.

    Raises:
        CheckpointError: the file is no checkpoint, or its network is no MobileNet-V2.
    """
    backbone = getattr(load_trained(path).module, "backbone", None)
    if not isinstance(backbone, MobileNetV2):
        raise CheckpointError(
            f"The network in {path} has no MobileNet-V2 in front; give a checkpoint of "
            "'edgepose train ppn-swift-body'."
        )
    return trunk_backbone(_trunk_of(backbone).eval())


def trunk_backbone(trunk: nn.Module) -> Backbone:
    """Return a trunk as a backbone of selectors."""
    return Backbone(trunk, lambda pictures: trunk(pictures).numpy(), TRUNK_SIZE)


def resnet_of(path: Path, depth: int = 50, stride_in_1x1: bool = False) -> Backbone:
    """Return a ResNet with the weights of a classifier, as published.

    Args:
        path: the file.
        depth: see :class:`ResNet`, like ``stride_in_1x1``.
        stride_in_1x1: where the weights have their stride, which the file does not tell.

    Raises:
        CheckpointError: the file is no checkpoint, or another network's.
        ConfigError: there is no such ResNet.
    """
    module = ResNet(depth, stride_in_1x1)
    load_backbone_weights(module, load_weights(path).values)
    return Backbone(module.eval(), _in_bfloat16(module), RESNET_SIZE, RESNET_SHARE)


def _in_bfloat16(module: nn.Module) -> Callable[[Tensor], NDArray[np.float32]]:
    """Compute a large network in bfloat16: three times as fast, and 3 % of the features off."""
    move(module, torch.device("cpu"))

    def compute(pictures: Tensor) -> NDArray[np.float32]:
        with torch.autocast("cpu", torch.bfloat16):
            found: NDArray[np.float32] = module(pictures).float().numpy()
        return found

    return compute


def kept_features(
    backbone: Backbone, videos: Mapping[str, Callable[[], Iterator[Image]]], folder: Path
) -> list[Features]:
    """Return the features of clips, float16 and mapped from one file each.

    Args:
        backbone: computes those of which there is no file yet.
        videos: the frames of each clip by its name.
        folder: of the files, and of one that tells whose features they are.

    Raises:
        DataError: the folder keeps the features of another backbone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, backbone)
    found = []
    with show_progress("features", len(videos)) as progress:
        for name, frames in videos.items():
            path = folder / f"{Path(name).stem}.npy"
            if not path.exists():
                _write(path, backbone.features(frames()).astype(np.float16))
            found.append(np.load(path, mmap_mode="r"))
            progress.advance()
    return found


def _claim(folder: Path, backbone: Backbone) -> None:
    """Write down whose features a folder keeps, and refuse it for those of others."""
    path, own = folder / "backbone.sha256", backbone.digest()
    if not path.exists():
        path.write_text(own + "\n")
    elif path.read_text().strip() != own:
        raise DataError(
            f"The folder {folder} keeps the features of a network with other weights or strides; "
            "remove it, or give another one."
        )


def _write(path: Path, features: Features) -> None:
    """Write a file that is whole or not there."""
    part = path.with_suffix(".part.npy")
    np.save(part, features)
    part.replace(path)


def _trunk_of(backbone: MobileNetV2) -> nn.Sequential:
    return nn.Sequential(*list(backbone.features)[:TRUNK_LAYERS])
