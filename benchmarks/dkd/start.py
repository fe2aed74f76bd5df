"""Weights for a ResNet-18 to start from, where there are none of ImageNet for it.

``python -m benchmarks.dkd.start resnet50.pth resnet18-start.pth`` takes what fits from ImageNet's
ResNet-50: the stem, and 3x3 convolutions of the same shape with their norms. The rest is drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from edgepose.models.backbones.resnet import ResNet
from edgepose.training.checkpoint import load_weights

#: Blocks in the stages of ResNet-50.
_BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
_COMMON = ("conv1", "bn1")


def main(words: Sequence[str] | None = None) -> None:
    """Read ResNet-50's weights and write ResNet-18's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dkd.start", description=__doc__)
    parser.add_argument("resnet50", type=Path, help="torchvision's state dict")
    parser.add_argument("out", type=Path, help="file to write")
    args = parser.parse_args(words)
    torch.manual_seed(0)
    weights, taken = fitting(ResNet(18).state_dict(), load_weights(args.resnet50).values)
    torch.save(weights, args.out)
    print(f"Wrote {args.out}: {taken} of {len(weights)} tensors come from {args.resnet50}.")


def fitting(
    drawn: Mapping[str, Tensor], source: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], int]:
    """Return ``drawn`` with the tensors that a ResNet-50 has in its shape, and how many these are.

    Args:
        drawn: of a ResNet-18, by torchvision's names.
        source: of a ResNet-50.
    """
    found = {name: source.get(counterpart(name)) for name in drawn}
    taken = {
        name: value
        for name, value in found.items()
        if value is not None and value.shape == drawn[name].shape
    }
    return {**drawn, **taken}, len(taken)


def counterpart(name: str) -> str:
    """Return which tensor of a ResNet-50 stands for one of a ResNet-18, "" for none.

    The four 3x3 convolutions of a stage are those of its first blocks, one each; where a stage has
    three blocks only, the last of them gives its own twice.
    """
    if name.startswith(_COMMON):
        return name
    stage, block, layer, *rest = name.split(".")
    if layer == "downsample":
        return ""
    place = 2 * int(block) + int(layer[-1]) - 1
    return ".".join((stage, str(min(place, _BLOCKS[stage] - 1)), f"{layer[:-1]}2", *rest))


if __name__ == "__main__":
    main()
