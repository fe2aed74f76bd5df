"""Runs a recipe: data, task and trainer put together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from edgepose.datasets.sources import load_source
from edgepose.training.config import TrainConfig
from edgepose.training.tasks import build_task
from edgepose.training.trainer import Metrics, Progress, RunSettings, Trainer
from edgepose_runtime.skeletons import get_skeleton


def train(
    config: TrainConfig,
    root: Path,
    settings: RunSettings,
    report: Callable[[Progress], None],
    validate: Callable[[object], Metrics] | None = None,
) -> bool:
    """Train `config` on the sets in `root`; True when it ran to its end.

    Raises:
        DataError, CheckpointError, ConfigError, OutputError: see the modules that raise them.
    """
    skeleton = get_skeleton(config.skeleton)
    task = build_task(config, skeleton, root)
    sources = [
        load_source(
            s.kind, s.share, root / s.path, skeleton, skip_broken=config.on_broken == "skip"
        )
        for s in config.sources
    ]
    settings.folder.mkdir(parents=True, exist_ok=True)
    (settings.folder / "config.json").write_text(json.dumps(config.as_dict(), indent=1) + "\n")
    return Trainer(config, task, sources, skeleton, settings, validate).run(report)
