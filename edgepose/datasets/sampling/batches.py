"""Batches that depend on nothing but a seed and their number.

Sample i of batch n is drawn from a generator seeded with (seed, n, i). A run that is killed and
resumed at batch n therefore sees the very batches it would have seen, whatever the number of
workers, and of processes that train together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset

from edgepose.datasets.sampling.sampler import Crop, Sampler
from edgepose_runtime.errors import ConfigError

Batch: TypeAlias = dict[str, torch.Tensor]


class BatchPlan:
    """Which size and how many samples batch n has.

    Args:
        phases: (steps, size, batch), one after the other.
    """

    def __init__(self, phases: Sequence[tuple[int, int, int]]) -> None:
        if not phases or min(min(phase) for phase in phases) < 1:
            raise ConfigError(f"Phases of training need positive numbers; got {list(phases)}.")
        self._ends = np.cumsum([steps for steps, _, _ in phases])
        self._phases = list(phases)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, step: int) -> tuple[int, int]:
        """(size, batch) of a step."""
        if not 0 <= step < len(self):
            raise IndexError(step)
        _, size, batch = self._phases[int(np.searchsorted(self._ends, step, side="right"))]
        return size, batch


class Batches(Dataset[Batch]):
    """Batch n as a dictionary of tensors, for a DataLoader with ``batch_size=None``.

    ``image`` uint8 (B, S, S, 3) BGR, ``keypoints`` float32 (B, K, 3), ``matrix`` float32
    (B, 2, 3); with `length`, each has a time axis after B.

    Args:
        sampler: draws samples.
        plan: sizes and numbers of samples.
        seed: of all samples.
        length: frames of a window; None for single images.
        part: (k, n): B is only the k-th of n parts of each batch, in order and of equal size, give
            or take one sample.

    Raises:
        ConfigError: a source has only shorter clips.
    """

    def __init__(
        self,
        sampler: Sampler,
        plan: BatchPlan,
        seed: int,
        length: int | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        if length is not None:
            sampler.require_clips(length)
        self._sampler, self._plan, self._seed, self._length = sampler, plan, seed, length
        self._part = part

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, step: int) -> Batch:
        size, count = self._plan[step]
        number, parts = self._part
        own = range(number * count // parts, (number + 1) * count // parts)
        generators = [np.random.default_rng([self._seed, step, index]) for index in own]
        if self._length is None:
            return _stack([self._sampler.image(rng, size) for rng in generators])
        clips = [self._sampler.clip(rng, size, self._length) for rng in generators]
        flat = _stack([crop for clip in clips for crop in clip])
        return {key: value.unflatten(0, (len(own), self._length)) for key, value in flat.items()}


def _stack(crops: Sequence[Crop]) -> Batch:
    return {
        "image": torch.from_numpy(np.stack([crop.image for crop in crops])),
        "keypoints": torch.from_numpy(np.stack([crop.keypoints for crop in crops])),
        "matrix": torch.from_numpy(np.stack([crop.matrix for crop in crops])).float(),
    }
