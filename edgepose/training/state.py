"""What a run has learned so far, and how it is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from edgepose.training.checkpoint import save_checkpoint
from edgepose.training.config.loader import parse_config
from edgepose.training.config.settings import TrainConfig
from edgepose.training.distributed.collectives import is_main_process
from edgepose.training.divergence import DivergenceMonitor
from edgepose.training.ema import ExponentialMovingAverage
from edgepose.training.optimiser import build_optimiser
from edgepose.training.tasks.adversary import Adversary
from edgepose_runtime.errors import CheckpointError

logger = logging.getLogger(__name__)


class TrainingState:
    """All that a resumed run needs, besides its data.

    Args:
        config: the recipe.
        module: what is trained, on its device.
        adversary: what learns against it, or None.

    Attributes:
        module, optimiser, average, adversary, watch: change with every step.
        step: steps done.
        images: images seen, the frames of windows one by one.
    """

    def __init__(
        self, config: TrainConfig, module: nn.Module, adversary: Adversary | None = None
    ) -> None:
        self._config = config
        self.module, self.adversary = module, adversary
        self.divergence = DivergenceMonitor()
        self.optimiser = build_optimiser(module, config.optimiser)
        self.average = ExponentialMovingAverage(module, config.optimiser.ema)
        self.step = self.images = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "config": self._config.as_dict(),
            "model": self.module.state_dict(),
            "ema": self.average.values,
            "step": self.step,
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict(),
            "watch": self.divergence.state_dict(),
            "training": {
                "recipe": self._config.name,
                "images": self.images,
                "sources": [vars(source) for source in self._config.sources],
            },
        }
        if self.adversary is not None:
            content["adversary"] = self.adversary.state_dict()
        save_checkpoint(path, content)

    def restore(self, content: Mapping[str, Any], path: Path) -> None:
        """Go back to a checkpoint; where the recipe has changed since, its new rates count.

        Args:
            content: what `load_checkpoint` read.
            path: where it was read, for messages.

        Raises:
            CheckpointError: it is of another network.
        """
        if is_main_process() and parse_config(content["config"]) != self._config:
            logger.warning("The recipe differs from the one that %s was made with.", path)
        rates = [(group["peak"], group["weight_decay"]) for group in self.optimiser.param_groups]
        try:
            self.module.load_state_dict(content["model"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.average.load_state_dict(content["average"])
            self._restore_contest(content, path)
            self.step, self.images = int(content["step"]), int(content["training"]["images"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"The checkpoint {path} belongs to another network: {error}"
            ) from error
        for group, (peak, decay) in zip(self.optimiser.param_groups, rates, strict=True):
            group.update(peak=peak, weight_decay=decay)

    def _restore_contest(self, content: Mapping[str, Any], path: Path) -> None:
        if "watch" in content:  # not in files of earlier releases
            self.divergence.load_state_dict(content["watch"])
        if self.adversary is None:
            return
        if "adversary" in content:
            self.adversary.load_state_dict(content["adversary"])
        else:
            logger.warning("There is no discriminator in %s: a new one starts.", path)
