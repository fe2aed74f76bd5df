"""The epochs of a selector's training, and its state after each, to go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgepose.training.checkpoint import load_checkpoint, save_checkpoint
from edgepose_runtime.errors import CheckpointError


def epochs_done(path: Path) -> int:
    """Return the epochs after which a state was written; 0 if there is none.

    Raises:
        CheckpointError: the file is damaged.
    """
    return int(load_checkpoint(path).get("epoch", 0)) if path.is_file() else 0


class Epochs:
    """Counts the epochs of one training, writes its state after each, and stops when told to.

    Args:
        path: of the state; ``None`` to keep none.
        resume: go on from the state in the file, if there is one.
        stops: asked after each epoch whether to end.

    Attributes:
        complete: whether the last epoch is done.
    """

    def __init__(
        self,
        path: Path | None = None,
        resume: bool = False,
        stops: Callable[[], bool] = lambda: False,
    ) -> None:
        self._path, self._resume, self._stops = path, resume, stops
        self.complete = False

    def left(
        self,
        total: int,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        random: np.random.Generator,
    ) -> Iterator[int]:
        """Return the epochs that are left, from 1 on; what is given has the state before them.

        Args:
            total: how many there are.
            model: is trained, like the following are used, between one epoch and the next.
            optimiser: of its weights.
            schedule: of the learning rate.
            random: what windows and their order are drawn from.

        Raises:
            CheckpointError: the state to go on from is damaged, or another model's.
            OutputError: the state cannot be written.
        """
        done = self._restore(model, optimiser, schedule, random)

        def count() -> Iterator[int]:
            for epoch in range(done + 1, total + 1):
                yield epoch
                self._save(epoch, model, optimiser, schedule, random)
                self.complete = epoch == total
                if self._stops():
                    return

        self.complete = done >= total
        return count()

    def _restore(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        random: np.random.Generator,
    ) -> int:
        if self._path is None or not self._resume or not self._path.is_file():
            return 0
        content = load_checkpoint(self._path)
        try:
            model.load_state_dict(content["model"])
            optimiser.load_state_dict(content["optimiser"])
            schedule.load_state_dict(content["schedule"])
            random.bit_generator.state = content["random"]
            return int(content["epoch"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"The state of a training in {self._path} does not fit the recipe: {error}. Train "
                "into another folder with --out."
            ) from error

    def _save(
        self,
        epoch: int,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        random: np.random.Generator,
    ) -> None:
        if self._path is None:
            return
        content = {
            "epoch": epoch,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "random": random.bit_generator.state,
        }
        save_checkpoint(self._path, content)
