"""The training loop: batches by number, bf16, EMA, checkpoints that resume without a jump."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edgepose.datasets.sampling import Batches, BatchPlan, Sampler, Source
from edgepose.training.averaging import WeightAverage
from edgepose.training.checkpoint import load_checkpoint, save_checkpoint
from edgepose.training.config import OptimiserSettings, TrainConfig
from edgepose.training.journal import Journal
from edgepose.training.tasks import Task
from edgepose_runtime.errors import CheckpointError, ConfigError
from edgepose_runtime.skeletons import Skeleton

REPORT_STEPS = 50
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Progress:
    """Sent after each report interval.

    Attributes:
        step, total: how far the run is.
        metrics: means over the interval; ``images_per_second`` among them.
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
        workers: processes that prepare batches.
        resume: go on from the checkpoint in `folder`, if there is one.
        max_minutes: stop cleanly after this long, to be resumed.
    """

    folder: Path
    device: str = "cpu"
    workers: int = 2
    resume: bool = False
    max_minutes: float = math.inf


class Trainer:
    """Runs one recipe. `run` may be stopped from any thread by `stop`, or by SIGINT and SIGTERM."""

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        sources: Sequence[Source],
        skeleton: Skeleton,
        settings: RunSettings,
        validate: Callable[[nn.Module], Metrics] | None = None,
    ) -> None:
        self._config, self._task, self._settings = config, task, settings
        self._validate = validate
        self._device = torch.device(settings.device)
        self._stop = threading.Event()
        self._module = task.module.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = build_optimiser(self._module, config.optimiser)
        self._average = WeightAverage(self._module, config.optimiser.ema)
        plan = BatchPlan([(phase.steps, phase.size, phase.batch) for phase in config.phases])
        sampler = Sampler(sources, skeleton, config.augmentation)
        self._batches = Batches(sampler, plan, config.seed, task.length)
        self._path = settings.folder / "checkpoint.pt"
        self._step, self._seen = (
            self._restore() if settings.resume and self._path.is_file() else (0, 0)
        )
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(settings.folder, self._step)

    def stop(self) -> None:
        """Ask the run to end after the present step, with a checkpoint."""
        self._stop.set()

    def run(self, report: Callable[[Progress], None]) -> bool:
        """Train to the end; returns False when stopped before it. A checkpoint is there either way."""
        torch.manual_seed(self._config.seed + self._step)
        deadline = time.monotonic() + 60 * self._settings.max_minutes
        with _stopped_by_signals(self.stop):
            self._loop(report, deadline)
        self._save()
        self._journal.plot(self._settings.folder / "curves.png")
        return self._step == self._config.total_steps

    def _loop(self, report: Callable[[Progress], None], deadline: float) -> None:
        saved = began = time.monotonic()
        sums: dict[str, float] = {}
        images = count = 0
        for batch in self._remaining():
            for name, value in self._train(batch).items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            images += batch["keypoints"].shape[:-2].numel()
            last = self._step == self._config.total_steps
            if last or self._step % REPORT_STEPS == 0:
                now = time.monotonic()
                metrics = {name: value / count for name, value in sums.items()}
                metrics["images_per_second"] = images / (now - began)
                self._seen += images
                self._note(metrics, report)
                sums, images, count, began = {}, 0, 0, time.monotonic()
            if time.monotonic() - saved > 60 * self._config.checkpoint_minutes:
                self._save()
                saved = time.monotonic()
            if self._stop.is_set() or time.monotonic() > deadline:
                self._seen += images
                return

    def _remaining(self) -> Iterator[Mapping[str, Tensor]]:
        loader = DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(self._step, len(self._batches)),
            num_workers=self._settings.workers,
            prefetch_factor=4 if self._settings.workers else None,
        )
        yield from loader

    def _train(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * schedule(self._config, self._step)
        self._module.train()
        batch = {key: value.to(self._device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(self._device.type, torch.bfloat16):
            losses = self._task.loss(batch)
        if not torch.isfinite(losses["loss"]):
            raise CheckpointError(
                f"The loss is not finite at step {self._step}; the last checkpoint is {self._path}. "
                "Lower the learning rate and resume from it."
            )
        self._optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._config.optimiser.clip)
        self._optimiser.step()
        self._average.update(self._module)
        self._step += 1
        return {
            **{name: float(value.detach()) for name, value in losses.items()},
            "gradient": float(norm),
        }

    def _note(self, metrics: dict[str, float], report: Callable[[Progress], None]) -> None:
        metrics["learning_rate"] = self._optimiser.param_groups[-1]["lr"]
        metrics["seen"] = self._seen
        self._journal.add({"step": self._step, **metrics})
        report(Progress(self._step, self._config.total_steps, metrics))

    def _save(self) -> None:
        save_checkpoint(
            self._path,
            {
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
            },
        )

    def _restore(self) -> tuple[int, int]:
        content = load_checkpoint(self._path)
        try:
            self._module.load_state_dict(content["model"])
            self._optimiser.load_state_dict(content["optimiser"])
            self._average.load_state_dict(content["average"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"The checkpoint {self._path} belongs to another recipe: {error}"
            ) from error
        return int(content["step"]), int(content["training"]["images"])


def schedule(config: TrainConfig, step: int) -> float:
    """The factor on the learning rate at a step, in [0, 1]."""
    warmup = config.optimiser.warmup
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(config.total_steps - warmup, 1)
    if config.optimiser.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if config.optimiser.schedule == "linear" else 1.0


def build_optimiser(module: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Adam, AdamW or RMSprop; no decay on biases and norms, its own rate for backbones."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        key = ("backbone." in name, parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    listed: list[dict[str, Any]] = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if decay else 0.0,
            "peak": settings.learning_rate * (settings.backbone_factor if backbone else 1.0),
        }
        for (backbone, decay), parameters in groups.items()
    ]
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }
    if settings.name not in kinds:
        raise ConfigError(f"The optimiser {settings.name!r} is not known.")
    return kinds[settings.name](listed, lr=settings.learning_rate)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM end the run with a checkpoint; only the main thread may listen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {
        number: signal.signal(number, lambda *_: stop())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
