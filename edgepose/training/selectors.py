"""``python -m edgepose.training.selectors``: train K-FPN and its online form on JHMDB clips.

The frozen features are those of the body network's own trunk at 96 pixels. No label is used.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgepose.datasets.jhmdb import read_jhmdb_clips
from edgepose.datasets.root import data_root
from edgepose.models.kfpn import KFPN, PRESETS, KfpnConfig
from edgepose.models.mobilenet import MobileNetV2, SameConv2d
from edgepose.models.online_keys import OnlineConfig, OnlineKeys
from edgepose.progress import show_progress
from edgepose.training.checkpoint import read_file
from edgepose.training.modules import load_trained, network_input
from edgepose.training.selection import RECIPES, Features, train_online, train_selector
from edgepose_runtime.crop import Image, crop_frame
from edgepose_runtime.errors import CheckpointError
from edgepose_runtime.geometry import Roi

FORMAT = "edgepose.selectors"
#: The trunk: MobileNet-V2 up to its 64 channels at stride 16, on crops of this size.
TRUNK_LAYERS, TRUNK_SIZE = 11, 96


class Selectors(NamedTuple):
    """What a checkpoint holds: the trunk, K-FPN and the discriminator of streams."""

    trunk: nn.Module
    selector: KFPN
    online: OnlineKeys


def new_trunk(pad_after: bool = False) -> nn.Sequential:
    """Return the layers of MobileNet-V2 that features are taken from, padded as it says."""
    return _trunk_of(MobileNetV2(pad_after))


def trunk_content(trunk: nn.Module) -> dict[str, Any]:
    """Return what a checkpoint keeps of a trunk."""
    pad_after = any(isinstance(layer, SameConv2d) for layer in trunk.modules())
    return {"trunk": trunk.state_dict(), "pad_after": pad_after}


def trunk_in(content: Mapping[str, Any]) -> nn.Sequential:
    """Return the trunk that `trunk_content` was given, in evaluation mode.

    Raises:
        KeyError, RuntimeError: there is none, or another network's.
    """
    trunk = new_trunk(content.get("pad_after", False))  # not in files of earlier releases
    trunk.load_state_dict(content["trunk"])
    return trunk.eval()


def trunk_of_body(path: Path) -> nn.Sequential:
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
    return _trunk_of(backbone).eval()


def _trunk_of(backbone: MobileNetV2) -> nn.Sequential:
    return nn.Sequential(*list(backbone.features)[:TRUNK_LAYERS])


@torch.inference_mode()
def trunk_features(trunk: nn.Module, frames: Iterable[Image]) -> NDArray[np.float32]:
    """Return the trunk's features (n, 64, 6, 6) of the middle squares of frames."""
    crops = []
    for frame in frames:
        height, width = frame.shape[:2]
        middle = Roi.around(((width - 1) / 2, (height - 1) / 2), min(width, height))
        crops.append(crop_frame(frame, middle, TRUNK_SIZE))
    features: NDArray[np.float32] = trunk(network_input(torch.from_numpy(np.stack(crops)))).numpy()
    return features


def save_selectors(path: Path, selectors: Selectors) -> None:
    """Write a checkpoint."""
    torch.save(
        {
            "format": FORMAT,
            **trunk_content(selectors.trunk),
            "selector_config": dataclasses.asdict(selectors.selector.config),
            "selector": selectors.selector.state_dict(),
            "online_config": dataclasses.asdict(selectors.online.config),
            "online": selectors.online.state_dict(),
        },
        path,
    )


def load_selectors(path: Path) -> Selectors:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
    """
    content = read_file(path, FORMAT)
    try:
        trunk = trunk_in(content)
        selector = KFPN(KfpnConfig(**content["selector_config"]))
        online = OnlineKeys(OnlineConfig(**content["online_config"]))
        selector.load_state_dict(content["selector"])
        online.load_state_dict(content["online"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"The selectors in {path} cannot be read: {error}") from error
    return Selectors(trunk, selector.eval(), online.eval())


def train_selectors(clips: Sequence[Features], trunk: nn.Module) -> Selectors:
    """Train both on the features of clips, and show how that goes."""
    selector = KFPN(PRESETS["edge"])
    with show_progress("K-FPN", RECIPES["edge"].epochs) as progress:
        train_selector(
            selector, clips, RECIPES["edge"], lambda _, loss: progress.advance(note=f"{loss:.3f}")
        )
    online = OnlineKeys(OnlineConfig(selector.config.channels, selector.config.grid, edge=True))
    training = RECIPES["online-edge"]
    with show_progress("online", training.epochs) as progress:
        train_online(
            online,
            selector,
            clips,
            training,
            lambda _, loss: progress.advance(note=f"{loss:.3f}"),
        )
    return Selectors(trunk, selector, online)


def main(words: Sequence[str] | None = None) -> None:
    """Compute the features of the training clips, train, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", type=Path, required=True, help="checkpoint of a body network")
    parser.add_argument("--root", type=Path, help="folder of the JHMDB clips")
    parser.add_argument("--limit-clips", type=int, metavar="N", help="every so many, N in all")
    parser.add_argument("--out", type=Path, default=Path("runs/kfpn/checkpoint.pt"))
    args = parser.parse_args(words)
    clips = read_jhmdb_clips(args.root or data_root() / "jhmdb", "train")
    step = max(1, len(clips) // (args.limit_clips or len(clips)))
    trunk, features = trunk_of_body(args.body), []
    with show_progress("features", len(clips[::step])) as progress:
        for clip in clips[::step]:
            features.append(trunk_features(trunk, clip.frames()))
            progress.advance()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_selectors(args.out, train_selectors(features, trunk))


if __name__ == "__main__":
    main()
