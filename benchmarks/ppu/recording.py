"""The frozen body's heat-maps, computed once, to train and compare propagation units on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import nn

from edgepose.datasets.readers.registry import load_source
from edgepose.datasets.sampling.batches import Batches, BatchPlan
from edgepose.datasets.sampling.sampler import Sampler
from edgepose.models import PPN
from edgepose.training.config.settings import TrainConfig
from edgepose.training.tasks.networks import load_trained, network_input

Array = NDArray[Any]
_BATCH = 8
_NAMES = ("maps", "keypoints", "matrix")


def body_of(checkpoint: Path) -> nn.Module:
    """Return the network for single images of a checkpoint of a body or of a PPN."""
    module = load_trained(checkpoint).module
    return module.body if isinstance(module, PPN) else module


class Windows:
    """Windows of frames as the body sees them, from files that are mapped into memory.

    Attributes:
        maps: float16 (N, T, K, h, h), the body's heat-maps.
        keypoints: float32 (N, T, K, 3) in crop pixels.
        matrix: float32 (N, T, 2, 3) from picture pixels to crop pixels.
    """

    def __init__(self, folder: Path) -> None:
        self.maps, self.keypoints, self.matrix = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in _NAMES
        )

    def __len__(self) -> int:
        return len(self.maps)

    def draw(self, rng: np.random.Generator, count: int, length: int) -> dict[str, torch.Tensor]:
        """Return parts of some windows, float32, by the names above; all parts start alike."""
        rows = np.sort(rng.permutation(len(self))[:count])
        first = int(rng.integers(self.maps.shape[1] - length + 1))
        arrays = {name: getattr(self, name)[rows, first : first + length] for name in _NAMES}
        return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


def record_windows(
    body: nn.Module, config: TrainConfig, root: Path, folder: Path, count: int
) -> None:
    """Draw windows as the recipe does and write what the body says of them.

    Args:
        body: the trained network.
        config: the recipe of the propagation; gives data, augmentation and the length of a window.
        root: the data folder.
        folder: receives the files.
        count: how many windows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Array] = {}
    first = 0
    for batch in _windows(config, root, count):
        found = {**{name: batch[name].numpy() for name in _NAMES[1:]}, "maps": _maps(body, batch)}
        for name, array in found.items():
            if name not in files:
                shape = (count, *array.shape[1:])
                files[name] = open_memmap(folder / f"{name}.tmp", "w+", array.dtype, shape)
            files[name][first : first + len(array)] = array
        first += len(batch["image"])
    for name in _NAMES:
        (folder / f"{name}.tmp").rename(folder / f"{name}.npy")


def _windows(config: TrainConfig, root: Path, count: int) -> Iterator[Mapping[str, torch.Tensor]]:
    sources = [
        load_source(each.kind, each.share, root / each.path, config.joints, skip_broken=True)
        for each in config.sources
    ]
    sampler = Sampler(sources, config.joints, config.augmentation)
    plan = BatchPlan([(count // _BATCH, config.phases[-1].size, _BATCH)])
    length = None if config.sequence is None else config.sequence.length
    batches = Batches(sampler, plan, config.seed, length)
    return (batches[step] for step in range(len(batches)))


@torch.inference_mode()
def _maps(body: nn.Module, batch: Mapping[str, torch.Tensor]) -> Array:
    frames = network_input(batch["image"]).flatten(0, 1)
    maps = torch.cat([body(few) for few in frames.split(_BATCH)])
    found: Array = maps.unflatten(0, batch["image"].shape[:2]).half().numpy()
    return found


class RememberedNetwork:
    """A network from crops to heat-maps that looks at no crop twice.

    Args:
        network: float32 RGB ``(B, 3, S, S)`` to ``(B, K, h, h)``.
        file: keeps the heat-maps, float16, under the hash of their crop.
    """

    def __init__(self, network: nn.Module, file: Path) -> None:
        self._network, self._file = network, file
        self._known: dict[str, Array] = dict(np.load(file)) if file.is_file() else {}
        self._stored = len(self._known)

    @torch.inference_mode()
    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the heat-maps (1, K, h, h) of a crop, uint8 BGR (1, S, S, 3)."""
        key = hashlib.sha1(crops.tobytes(), usedforsecurity=False).hexdigest()
        if key not in self._known:
            maps = self._network(network_input(torch.from_numpy(crops)))
            self._known[key] = maps.half().numpy()
        return self._known[key].astype(np.float32)

    def save(self) -> None:
        """Write the file, if there is anything new."""
        if len(self._known) > self._stored:
            np.savez(self._file, **self._known)  # type: ignore[arg-type]  # names are hashes
            self._stored = len(self._known)
