"""The training loop: batches by number, bf16, EMA, checkpoints that resume without a jump."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edgepose.datasets.batches import Batches, BatchPlan
from edgepose.datasets.sampling import Sampler, Source
from edgepose.training.averaging import WeightAverage
from edgepose.training.checkpoint import load_checkpoint, save_checkpoint
from edgepose.training.config import parse_config
from edgepose.training.journal import Journal, Meter
from edgepose.training.schedule import build_optimiser, schedule, set_learning_rate
from edgepose.training.settings import TrainConfig
from edgepose.training.signals import StopSignals, leave_signals_alone
from edgepose.training.tasks import Task
from edgepose_runtime.errors import CheckpointError, DeviceError

logger = logging.getLogger(__name__)

REPORT_STEPS = 50
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Progress:
    """How far a run is, sent after every step.

    Attributes:
        step, total: steps done, and of the whole recipe.
        metrics: means since the last row of the log, where this step made one; else empty.
    """

    step: int
    total: int
    metrics: Metrics


@dataclass(frozen=True)
class RunSettings:
    """Where and how a run is executed; nothing here changes what is learned.

    Attributes:
        folder: receives ``checkpoint.pt``, ``log.csv`` and ``curves.png``.
        device: a torch device.
        workers: processes that prepare batches; 0 prepares them in between.
        resume: go on from the checkpoint in `folder`, if there is one.
        max_minutes: stop cleanly after this long, to be resumed.
    """

    folder: Path
    device: str = "cpu"
    workers: int = 2
    resume: bool = False
    max_minutes: float = math.inf

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the run."""
        return self.folder / "checkpoint.pt"


class Trainer:
    """Runs one recipe. `run` may be stopped from any thread by `stop`, or by SIGINT and SIGTERM.

    Args:
        config: the recipe.
        task: what is trained.
        sources: the data.
        settings: where and how.
        validate: measures the averaged weights every ``config.validate_every`` steps.

    Raises:
        DeviceError: there is no such device.
        CheckpointError: the checkpoint to resume from is damaged, or of another network.
    """

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        sources: Sequence[Source],
        settings: RunSettings,
        validate: Callable[[nn.Module], Metrics] | None = None,
    ) -> None:
        self._config, self._task, self._settings = config, task, settings
        self._validate = validate
        self._device = find_device(settings.device)
        self._signals = StopSignals()
        self._module = _quick(task.module.to(self._device))
        self._optimiser = build_optimiser(self._module, config.optimiser)
        self._average = WeightAverage(self._module, config.optimiser.ema)
        plan = BatchPlan([(phase.steps, phase.size, phase.batch) for phase in config.phases])
        sampler = Sampler(sources, config.joints, config.augmentation)
        self._batches = Batches(sampler, plan, config.seed, task.length)
        self._step = self._seen = 0
        if settings.resume and settings.checkpoint.is_file():
            self._restore()
        self._journal = Journal(settings.folder, self._step)
        self._meter = Meter()

    def stop(self) -> None:
        """Ask the run to end after the present step, with a checkpoint."""
        self._signals.stop()

    def run(self, report: Callable[[Progress], None]) -> bool:
        """Train to the end and return True, or False when stopped; leaves a checkpoint either way.

        Raises:
            CheckpointError: the loss is no number any more.
            OutputError: the checkpoint or the log cannot be written.
            DataError: the data cannot be used.
        """
        with self._signals:
            self._loop(report)
        self._save()
        return self._step == self._config.total_steps

    def _loop(self, report: Callable[[Progress], None]) -> None:
        began = saved = time.monotonic()
        for batch in self._remaining():
            self._meter.add(self._train(batch), batch["keypoints"].shape[:-2].numel())
            report(Progress(self._step, self._config.total_steps, self._note()))
            now = time.monotonic()
            if self._signals.stopped or now - began > 60 * self._settings.max_minutes:
                return
            if now - saved > 60 * self._config.checkpoint_minutes:
                self._save()
                saved = now

    def _remaining(self) -> Iterator[Mapping[str, Tensor]]:
        workers = self._settings.workers
        yield from DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(self._step, len(self._batches)),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_signals_alone if workers else None,
        )

    def _train(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        """Take one step and return what there is to report about it."""
        # What is drawn while training depends on the step alone, as the batches do.
        torch.manual_seed(self._config.seed + 1_000_003 * (self._step + 1))
        set_learning_rate(self._optimiser, schedule(self._config, self._step))
        self._module.train()
        batch = {key: value.to(self._device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(self._device.type, torch.bfloat16):
            losses = self._task.loss(batch)
        self._require_finite(losses["loss"])
        self._optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = nn.utils.clip_grad_norm_(
            self._module.parameters(), self._config.optimiser.clip or math.inf
        )
        self._optimiser.step()
        self._average.update(self._module)
        self._step += 1
        self._seen += batch["keypoints"].shape[:-2].numel()
        return {
            **{name: float(value.detach()) for name, value in losses.items()},
            "gradient": float(norm),
        }

    def _require_finite(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise CheckpointError(
                f"The loss is not a number at step {self._step}. The last checkpoint is "
                f"{self._settings.checkpoint}: lower the learning rate and resume from it."
            )

    def _note(self) -> Metrics:
        """Add a row to the log where one is due, and return it."""
        last = self._step == self._config.total_steps
        metrics: dict[str, float] = {}
        if last or self._step % REPORT_STEPS == 0:
            metrics = self._meter.means()
            metrics["learning_rate"] = self._optimiser.param_groups[-1]["lr"]
            metrics["seen"] = self._seen
        every = self._config.validate_every
        if self._validate is not None and every and (last or self._step % every == 0):
            with self._average.applied_to(self._module):
                metrics.update(self._validate(self._module))
            self._meter.restart_clock()
        if metrics:
            self._journal.add({"step": self._step, **metrics})
        return metrics

    def _save(self) -> None:
        content = {
            "config": self._config.as_dict(),
            "model": self._module.state_dict(),
            "ema": self._average.values,
            "step": self._step,
            "optimiser": self._optimiser.state_dict(),
            "average": self._average.state_dict(),
            "training": {
                "recipe": self._config.name,
                "images": self._seen,
                "sources": [vars(source) for source in self._config.sources],
            },
        }
        save_checkpoint(self._settings.checkpoint, content)
        self._journal.plot(self._settings.folder / "curves.png")

    def _restore(self) -> None:
        content = load_checkpoint(self._settings.checkpoint)
        if parse_config(content["config"]) != self._config:
            logger.warning(
                "The recipe differs from the one that %s was made with.", self._settings.checkpoint
            )
        peaks = [dict(group) for group in self._optimiser.param_groups]
        try:
            self._module.load_state_dict(content["model"])
            self._optimiser.load_state_dict(content["optimiser"])
            self._average.load_state_dict(content["average"])
            self._step, self._seen = int(content["step"]), int(content["training"]["images"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"The checkpoint {self._settings.checkpoint} belongs to another recipe: {error}"
            ) from error
        for group, mine in zip(self._optimiser.param_groups, peaks, strict=True):
            group.update(peak=mine["peak"], weight_decay=mine["weight_decay"])


def _quick(module: nn.Module) -> nn.Module:
    """Order the weights of convolutions as bf16 kernels like them; values stay the same."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def find_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        DeviceError: torch does not know it, or this machine does not have it.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(
            f"The device {name!r} cannot be used for training here: {error} Choose cpu, or install "
            "a build of PyTorch for this device."
        ) from error
    return device
