"""Runs a recipe: data, task and trainer put together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from edgepose.datasets.readers.registry import load_source
from edgepose.training.config.settings import TrainConfig
from edgepose.training.devices import find_device
from edgepose.training.tasks.stages import build_task
from edgepose.training.trainer import Progress, RunSettings, Trainer
from edgepose.training.validation import Validator
from edgepose_runtime.errors import OutputError


def train(
    config: TrainConfig, root: Path, settings: RunSettings, report: Callable[[Progress], None]
) -> bool:
    """Train `config` on the sets in `root`; True when it ran to its end.

    Args:
        config: the recipe.
        root: the data folder.
        settings: where and how.
        report: called after every step.

    Raises:
        ConfigError, DeviceError: the recipe's options or the device do not fit.
        DataError: data is missing or damaged.
        CheckpointError: weights to start or to resume from are missing, damaged or do not fit.
        OutputError: the folder cannot be written.
    """
    find_device(settings.device)
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
    validate = Validator(config, root) if config.validate_every else None
    trainer = Trainer(config, task, sources, settings, validate)
    _write_config(config, settings.folder / "config.json")
    return trainer.run(report)


def _write_config(config: TrainConfig, path: Path) -> None:
    try:
        path.write_text(json.dumps(config.as_dict(), indent=1) + "\n", encoding="utf8")
    except OSError as error:
        raise OutputError(f"The recipe cannot be copied to {path}: {error}.") from error
