"""What a dictionary of dynamics is trained for: interpolation, or sparse reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from edgepose.datasets.motion_windows import cut_windows, set_apart
from edgepose.datasets.sequences import (
    JointSequence,
    read_jhmdb_sequences,
    read_penn_sequences,
)
from edgepose.models.keyframes.dyan import DYAN
from edgepose.models.keyframes.motion import MotionModel
from edgepose.training.config.dynamics import DynamicsConfig
from edgepose.training.dynamics.trials import Setting, draw_setting, draw_trial
from edgepose_runtime.interpolation.dictionary import PoleDictionary

#: A joint closer than this to its place, in sides of the person's box, is a hit; and how softly.
HIT, SOFTNESS = 0.05, 0.006


class DynamicsTask(Protocol):
    """One way to train a dictionary.

    Attributes:
        module: what is trained.
    """

    module: nn.Module

    def groups(self, config: DynamicsConfig) -> list[dict[str, object]]:
        """Return the optimiser's groups of parameters."""

    def loss(self, random: np.random.Generator) -> Tensor:
        """Draw a batch and return its loss."""

    def dictionary(self) -> PoleDictionary:
        """Return what was learned so far."""


def build_dynamics_task(config: DynamicsConfig, root: Path) -> DynamicsTask:
    """Return the task of a recipe.

    Raises:
        ConfigError: an option does not fit.
        DataError: the data is missing, damaged or too short.
    """
    torch.manual_seed(config.seed)
    if config.kind == "interpolation":
        return InterpolationTask(config, root)
    return ReconstructionTask(config, root)


class InterpolationTask:
    """Minimise the error of poses between random key frames with noise and missing joints."""

    def __init__(self, config: DynamicsConfig, root: Path) -> None:
        sequences = _sequences(config, root)
        self._windows = cut_windows(sequences, config.length, config.stride)
        self._config = config
        self._model = MotionModel(config.poles, config.kinds, config.length)
        self.module: nn.Module = self._model

    def groups(self, config: DynamicsConfig) -> list[dict[str, object]]:
        """Weights learn faster than poles."""
        model = self._model
        return [
            {"params": [model.log_weights, model.log_odds, model.trust]},
            {
                "params": [model.angle, model.radius],
                "lr": config.learning_rate * config.pole_factor,
            },
        ]

    def loss(self, random: np.random.Generator) -> Tensor:
        """Mean error plus misses, as parts of the error that plain interpolation is likely to make.

        So easy settings, of many keys without noise, count as much as the others.
        """
        chosen = random.choice(len(self._windows), self._config.batch)
        windows = self._windows.chosen(chosen)
        setting = draw_setting(random)
        trial = draw_trial(windows, setting, random)
        poses, frames, seen = map(torch.from_numpy, (trial.key_poses, trial.key_frames, trial.seen))
        paths = self._model(frames, poses, seen, setting.noise)
        squares = (paths - torch.from_numpy(windows.paths)).square().sum(-1)
        errors = (squares + 1e-8).sqrt().transpose(1, 2)[torch.from_numpy(windows.visible)]
        misses = torch.sigmoid((errors - HIT) / SOFTNESS)
        loss: Tensor = errors.mean() + self._config.hits * misses.mean()
        return loss / _likely_error(setting)

    def dictionary(self) -> PoleDictionary:
        """Return poles and weights."""
        return self._model.to_dictionary()


class ReconstructionTask:
    """Algorithm 2: express sequences by few atoms, and minimise what is left."""

    def __init__(self, config: DynamicsConfig, root: Path) -> None:
        self._config = config
        self._paths, self._present = _normalised(_sequences(config, root), config.length)
        self._model = DYAN(config.poles, config.sparsity, seed=config.seed)
        self.module: nn.Module = self._model

    def groups(self, config: DynamicsConfig) -> list[dict[str, object]]:  # noqa: ARG002
        """All poles learn alike."""
        return [{"params": list(self._model.parameters())}]

    def loss(self, random: np.random.Generator) -> Tensor:
        """Mean square error over the frames that exist, and the sparsity of the codes."""
        chosen = torch.from_numpy(random.choice(len(self._paths), self._config.batch))
        paths, present = self._paths[chosen], self._present[chosen]
        codes = self._model.encode(paths, present)
        wrong = (self._model.decode(codes, paths.shape[1]) - paths) * present
        loss: Tensor = wrong.square().sum() + self._config.sparsity * codes.abs().sum()
        return loss / (present.sum() * paths.shape[2])

    def dictionary(self) -> PoleDictionary:
        """Return the poles; all atoms weigh the same."""
        return self._model.to_dictionary()


def _sequences(config: DynamicsConfig, root: Path) -> list[JointSequence]:
    if config.data == "penn":
        return set_apart(read_penn_sequences(root / "penn"))[0]
    return read_jhmdb_sequences(root / "jhmdb")


def _likely_error(setting: Setting) -> float:
    gaps = 1.8 if setting.placement == "random" else 1.0
    return 0.045 / setting.keys * gaps * (1.6 if setting.missing else 1.0) + setting.noise / 2


def _normalised(sequences: list[JointSequence], length: int) -> tuple[Tensor, Tensor]:
    """Return windows (W, T, 2 K) and which frames there are (W, T, 1); the others are zero.

    As published, each coordinate is centred and divided by its deviation over all frames.
    """
    together = np.concatenate([sequence.joints for sequence in sequences])
    mean, deviation = together.mean(axis=0), together.std(axis=0) + 1e-6
    paths, present = [], []
    for sequence in sequences:
        for start in range(0, max(len(sequence) - length // 2, 1), length):
            part = (sequence.joints[start : start + length] - mean) / deviation
            missing = length - len(part)
            paths.append(np.pad(part.reshape(len(part), -1), ((0, missing), (0, 0))))
            present.append(np.arange(length) < len(part))
    flags = torch.from_numpy(np.stack(present)).float()[..., None]
    return torch.from_numpy(np.stack(paths)).float(), flags
