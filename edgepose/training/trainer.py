"""The training loop: batches by number, bf16, EMA, checkpoints that resume without a jump.

Several processes with parts of each batch (`edgepose.training.distributed`) take the same steps as
one; the main process alone validates, and writes the log and the checkpoint.
"""

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

from edgepose.datasets.sampling.batches import Batches, BatchPlan
from edgepose.datasets.sampling.sampler import Sampler, Source
from edgepose.training.checkpoint import load_checkpoint
from edgepose.training.config.settings import TrainConfig
from edgepose.training.devices import find_device, move
from edgepose.training.distributed.collectives import (
    any_process,
    average_gradients,
    from_main_process,
    in_group,
    is_main_process,
    mean_over_processes,
    process_count,
    process_rank,
)
from edgepose.training.distributed.replicas import make_replicas
from edgepose.training.log import RunningMean, TrainingLog
from edgepose.training.optimiser import schedule, set_learning_rate
from edgepose.training.state import TrainingState
from edgepose.training.tasks.stages import Task
from edgepose.utils.signals import StopSignals, ignore_signals, ignore_stop_signals
from edgepose_runtime.errors import CheckpointError, CollapseError, ConfigError, DataError

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
        ConfigError: a batch has fewer samples than there are processes.
        DeviceError: there is no such device.
        CheckpointError: the checkpoint to resume from is damaged, or of another network.
        OutputError: the folder or the log cannot be written.
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
        if task.adversary is not None:
            move(task.adversary.network, self._device)
        opponents = [] if task.adversary is None else [task.adversary.network]
        make_replicas(move(task.module, self._device), *opponents)
        self._state = TrainingState(config, task.module, task.adversary)
        self._plan = _plan(config)
        sampler = Sampler(sources, config.joints, config.augmentation, config.crop_view)
        part = process_rank(), process_count()
        self._batches = Batches(sampler, self._plan, config.seed, task.length, part)
        if settings.resume:
            self._resume(settings.checkpoint)
        self._log = TrainingLog(settings.folder, self._state.step) if is_main_process() else None
        self._running, self._signals = RunningMean(), StopSignals()

    def stop(self) -> None:
        """Ask the run to end after the present step, with a checkpoint."""
        self._signals.stop()

    def run(self, report: Callable[[Progress], None]) -> bool:
        """Train to the end and return True, or False when stopped; leaves a checkpoint either way.

        Raises:
            CheckpointError: the loss is no number any more.
            CollapseError: the run learns nothing any more, and the recipe says to stop then.
            OutputError: the checkpoint or the log cannot be written.
            DataError: the data cannot be used.
        """
        with self._signals:
            self._loop(report)
        self._save()
        return self._state.step == self._config.total_steps

    def _resume(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one; only the main process needs to see the file."""
        content = from_main_process(lambda: load_checkpoint(path) if path.is_file() else None)
        if content is not None:
            self._state.restore(content, path)

    def _loop(self, report: Callable[[Progress], None]) -> None:
        began = saved = time.monotonic()
        for batch in self._remaining():
            self._train(batch)
            report(Progress(self._state.step, self._config.total_steps, self._note()))
            now = time.monotonic()
            late = now - began > 60 * self._settings.max_minutes
            if any_process(self._signals.stopped or late, self._device):
                return
            if now - saved > 60 * self._config.checkpoint_minutes:
                self._save()
                saved = now

    def _remaining(self) -> Iterator[Mapping[str, Tensor]]:
        workers = self._settings.workers
        ignore = ignore_stop_signals if in_group() else ignore_signals
        loader = DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(self._state.step, len(self._batches)),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=ignore if workers else None,
            pin_memory=self._device.type == "cuda",
        )
        try:
            yield from loader
        except DataError as error:
            # From a worker it comes with its traceback as the text, the message last.
            raise DataError(str(error).splitlines()[-1].rpartition("DataError: ")[2]) from error

    def _train(self, batch: Mapping[str, Tensor]) -> None:
        """Take one step."""
        state = self._state
        # What is drawn while training depends on the step alone, as the batches do; processes draw
        # for samples of their own.
        seed = self._config.seed + 1_000_003 * (state.step + 1)
        torch.manual_seed(seed + 101 * process_rank())
        self._set_learning_rates()
        state.module.train()
        batch = {key: value.to(self._device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(self._device.type, torch.bfloat16):
            losses = self._task.loss(batch)
        measured = self._measured(losses)
        state.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        average_gradients(state.module.parameters())
        limit = self._config.optimiser.clip or math.inf
        norm = nn.utils.clip_grad_norm_(state.module.parameters(), limit)
        state.optimiser.step()
        state.average.update(state.module)
        images = self._plan[state.step][1] * (self._task.length or 1)
        state.step, state.images = state.step + 1, state.images + images
        self._running.add({**measured, "gradient": float(norm)}, images)
        self._watch(measured)

    def _set_learning_rates(self) -> None:
        factor, adversary = schedule(self._config, self._state.step), self._state.adversary
        set_learning_rate(self._state.optimiser, factor)
        if adversary is not None:
            set_learning_rate(adversary.optimiser, factor)

    def _watch(self, measured: Metrics) -> None:
        """Say that a run has collapsed, and end it without overwriting its checkpoint."""
        fault = self._state.divergence.update(measured)
        if fault is None:
            return
        if is_main_process():
            logger.warning("Step %d: %s", self._state.step, fault)
        if self._config.on_collapse == "stop":
            if self._log is not None:
                self._log.add({"step": self._state.step, **self._running.means()})
                self._log.plot(self._settings.folder / "curves.png")
            raise CollapseError(
                f"{fault} The run was stopped at step {self._state.step}; --set on_collapse=warn "
                "goes on regardless."
            )

    def _measured(self, losses: Mapping[str, Tensor]) -> Metrics:
        """Return the losses of the whole batch; all processes find the same ones not finite."""
        own = {name: float(value.detach()) for name, value in losses.items()}
        measured = mean_over_processes(own, self._device)
        if not math.isfinite(measured["loss"]):
            last = self._settings.checkpoint
            raise CheckpointError(
                f"The loss is not a number at step {self._state.step}. Lower the learning rate and "
                + (f"resume from {last}." if last.is_file() else "start again.")
            )
        return measured

    def _note(self) -> Metrics:
        """Add a row to the log where one is due, and return it; in the main process alone."""
        if self._log is None:
            return {}
        step, every = self._state.step, self._config.validate_every
        last = step == self._config.total_steps
        metrics: dict[str, float] = {}
        if last or step % REPORT_STEPS == 0:
            metrics = self._running.means()
            metrics["learning_rate"] = self._state.optimiser.param_groups[-1]["lr"]
            metrics["seen"] = self._state.images
        if self._validate is not None and every and (last or step % every == 0):
            with self._state.average.applied_to(self._state.module):
                metrics.update(self._validate(self._state.module))
            self._running.restart_clock()
        if metrics:
            self._log.add({"step": step, **metrics})
        return metrics

    def _save(self) -> None:
        if self._log is None:
            return
        self._state.save(self._settings.checkpoint)
        self._log.plot(self._settings.folder / "curves.png")
        self._running.restart_clock()


def _plan(config: TrainConfig) -> BatchPlan:
    """Return the plan of all batches, of which each process gets a part."""
    for phase in config.phases:
        if phase.batch < process_count():
            raise ConfigError(
                f"The recipe {config.name!r} has batches of {phase.batch}, too few for "
                f"{process_count()} processes; start fewer, or raise 'batch' in its phases."
            )
    return BatchPlan([(phase.steps, phase.size, phase.batch) for phase in config.phases])
