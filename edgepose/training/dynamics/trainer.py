"""Training of dictionaries of dynamics: minutes on one core."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from edgepose.training.checkpoint import load_checkpoint, save_checkpoint
from edgepose.training.config.dynamics import DynamicsConfig
from edgepose.training.dynamics.tasks import DynamicsTask, build_dynamics_task
from edgepose.training.log import TrainingLog
from edgepose.training.trainer import REPORT_STEPS, Progress, RunSettings
from edgepose.utils.signals import StopSignals
from edgepose_runtime.errors import CheckpointError, OutputError
from edgepose_runtime.interpolation.dictionary import save_dictionary

#: What is written beside checkpoint and log.
DICTIONARY, POLES, ATOMS = "dictionary.npz", "poles.png", "atoms.png"


def train_dynamics(
    config: DynamicsConfig, root: Path, settings: RunSettings, report: Callable[[Progress], None]
) -> bool:
    """Train a dictionary; True when it ran to its end.

    The folder receives ``dictionary.npz`` for `edgepose_runtime`, pictures of its poles and atoms,
    the checkpoint and the log.

    Args:
        config: the recipe.
        root: the data folder.
        settings: where and how; the CPU is used, whatever device they name.
        report: called after every step.

    Raises:
        ConfigError: an option does not fit.
        DataError: data is missing, damaged or too short.
        CheckpointError: the checkpoint to resume from does not fit, or the loss is no number.
        OutputError: the folder cannot be written.
    """
    run = _Run(config, build_dynamics_task(config, root), settings)
    done = run.loop(report)
    run.save()
    return done


class _Run:
    def __init__(self, config: DynamicsConfig, task: DynamicsTask, settings: RunSettings) -> None:
        self._config, self._task, self._settings = config, task, settings
        self._optimiser = torch.optim.Adam(task.groups(config), lr=config.learning_rate)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._step = self._restore() if settings.resume and settings.checkpoint.is_file() else 0
        self._log = TrainingLog(settings.folder, self._step)
        self._losses: list[float] = []

    def loop(self, report: Callable[[Progress], None]) -> bool:
        """Train until the end, a signal or the time limit."""
        began = time.monotonic()
        with StopSignals() as signals:
            while self._step < self._config.steps and not signals.stopped:
                self._advance()
                report(Progress(self._step, self._config.steps, self._note()))
                if time.monotonic() - began > 60 * self._settings.max_minutes:
                    break
        return self._step == self._config.steps

    def save(self) -> None:
        """Write the checkpoint, the dictionary and the pictures."""
        from edgepose.training.dynamics.plots import plot_atoms, plot_poles

        folder, dictionary = self._settings.folder, self._task.dictionary()
        content = {
            "config": self._config.as_dict(),
            "model": self._task.module.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self._step,
        }
        save_checkpoint(self._settings.checkpoint, content)
        try:
            save_dictionary(dictionary, folder / DICTIONARY)
            text = json.dumps(self._config.as_dict(), indent=1) + "\n"
            (folder / "config.json").write_text(text, encoding="utf8")
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be written: {error}.") from error
        plot_poles(dictionary, folder / POLES)
        plot_atoms(dictionary, folder / ATOMS, self._config.length)
        self._log.plot(folder / "curves.png")

    def _advance(self) -> None:
        # What is drawn depends on the step alone, so that a resumed run goes on as it would have.
        random = np.random.default_rng((self._config.seed, self._step))
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * _schedule(self._config, self._step)
        loss = self._task.loss(random)
        if not torch.isfinite(loss):
            raise CheckpointError(
                f"The loss is not a number at step {self._step}. Lower the learning rate and start "
                "again."
            )
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._task.module.parameters(), 1.0)
        self._optimiser.step()
        self._losses.append(float(loss.detach()))
        self._step += 1

    def _note(self) -> dict[str, float]:
        if self._step % REPORT_STEPS and self._step != self._config.steps:
            return {}
        metrics = {"loss": float(np.mean(self._losses))}
        self._losses = []
        self._log.add({"step": self._step, **metrics})
        return metrics

    def _restore(self) -> int:
        path = self._settings.checkpoint
        content = load_checkpoint(path)
        try:
            self._task.module.load_state_dict(content["model"])
            self._optimiser.load_state_dict(content["optimiser"])
            return int(content["step"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"The checkpoint {path} does not fit the recipe {self._config.name!r}: {error}"
            ) from error


def _schedule(config: DynamicsConfig, step: int) -> float:
    share = step / config.steps
    if config.kind == "interpolation":
        return (1 + math.cos(math.pi * share)) / 2
    passed = sum(share >= milestone for milestone in config.milestones)
    return float(0.1**passed)
