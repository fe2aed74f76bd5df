"""Runs a recipe: data, task and trainer put together, in one process or in several."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from edgepose import __version__
from edgepose.datasets.readers.registry import load_source
from edgepose.datasets.sampling.sampler import Source
from edgepose.training.config.settings import TrainConfig
from edgepose.training.distributed.collectives import is_main_process
from edgepose.training.distributed.group import process_group, require_agreement
from edgepose.training.distributed.launch import find_launch
from edgepose.training.tasks.stages import build_task
from edgepose.training.trainer import Progress, RunSettings, Trainer
from edgepose.training.validation import Validator
from edgepose_runtime.errors import OutputError


def train(
    config: TrainConfig, root: Path, settings: RunSettings, report: Callable[[Progress], None]
) -> bool:
    """Train `config` on the sets in `root`; True when it ran to its end.

    Processes that ``torchrun`` has started share the batches.

    Args:
        config: the recipe.
        root: the data folder.
        settings: where and how.
        report: called after every step, in the main process with the metrics.

    Raises:
        ConfigError, DeviceError: the recipe's options or the device do not fit, or processes that
            train together differ in them.
        ProcessGroupError: such processes cannot reach each other, or one is gone.
        DataError: data is missing or damaged.
        CheckpointError: weights to start or to resume from are missing, damaged or do not fit.
        OutputError: the folder cannot be written.
    """
    with process_group(find_launch(), settings.device) as device:
        return _train(config, root, replace(settings, device=device), report)


def _train(
    config: TrainConfig, root: Path, settings: RunSettings, report: Callable[[Progress], None]
) -> bool:
    """Train in this process, which may be one of several."""
    task = build_task(config, root)
    sources = [
        load_source(
            source.kind,
            source.share,
            root / source.path,
            config.joints,
            skip_broken=config.on_broken == "skip",
            split=source.split,
            supervise_only_visible=source.supervise_only_visible,
        )
        for source in config.sources
    ]
    require_agreement(_agreed(config, sources, settings))
    validates = bool(config.validate_every) and is_main_process()
    validate = Validator(config, root) if validates else None
    trainer = Trainer(config, task, sources, settings, validate)
    if is_main_process():
        _write_config(config, settings.folder / "config.json")
    return trainer.run(report)


def _agreed(
    config: TrainConfig, sources: Sequence[Source], settings: RunSettings
) -> dict[str, object]:
    """Return what must be the same in all processes, by a name for messages."""
    return {
        "the version of edgepose": __version__,
        "the version of torch": torch.__version__,
        "--resume": settings.resume,
        **{f"the option {name}": value for name, value in config.as_dict().items()},
        **{
            f"the size of source {number}, {source.name}": (len(source.images), len(source.clips))
            for number, source in enumerate(sources, 1)
        },
    }


def _write_config(config: TrainConfig, path: Path) -> None:
    try:
        path.write_text(json.dumps(config.as_dict(), indent=1) + "\n", encoding="utf8")
    except OSError as error:
        raise OutputError(f"The recipe cannot be copied to {path}: {error}.") from error
