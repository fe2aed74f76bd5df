"""Training of DKD on windows of frames, with or without a discriminator (Algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgepose.datasets.sampling.targets import render_targets
from edgepose.models import DKD
from edgepose.models.pose.batch_norm_folding import fold_batch_norms
from edgepose.training.config.settings import TrainConfig
from edgepose.training.tasks.adversary import Adversary
from edgepose.training.tasks.corruption import corrupt
from edgepose.training.tasks.freezing import freeze, keep_norms
from edgepose.training.tasks.losses import heatmap_loss
from edgepose.training.tasks.networks import network_input
from edgepose_runtime.errors import ConfigError


class DkdTask:
    """DKD on windows of T frames, with gradients through all of them.

    Args:
        config: a recipe with ``sequence``.
        module: the network that it describes.
        adversary: the discriminator, or None to train without (the ablation "w/o TAT").

    Attributes:
        adversary: takes its own step whenever the generator's loss is computed.
    """

    def __init__(
        self, config: TrainConfig, module: DKD, adversary: Adversary | None = None
    ) -> None:
        if config.sequence is None:
            raise ConfigError(f"The recipe {config.name!r} trains sequences but has no 'sequence'.")
        self._config, self._sequence, self._dkd = config, config.sequence, module
        self._folded: DKD | None = None  # made of the weights that training starts from
        self.module: nn.Module = module
        self.adversary = adversary
        self.length: int | None = config.sequence.length
        self._frozen = freeze(module, config.frozen)
        if not config.optimiser.body_factor:
            self._frozen += freeze(module, ["encoder"])
        if config.sequence.keep_norms:
            self._frozen.append(module.encoder)

    def loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """L_G of Algorithm 1, after D's step on the same window.

        Its terms: ``loss_head``, of the first frame's maps; ``loss_dkd``, of the matched ones;
        ``loss_adversarial``, D's error on them, which counts η times; and, with the weight
        `SequenceSettings.preliminary`, ``loss_body`` of the encoder alone. Sums over the frames
        are divided by T, so that losses compare with those of other recipes.
        """
        keep_norms(self._frozen)
        clip = network_input(batch["image"])
        targets, weight = render_targets(
            batch["keypoints"], batch["image"].shape[-2], self._config.targets
        )
        final, alone = self._heatmaps(clip)
        losses = self._supervised(final, alone, targets, weight)
        if self.adversary is None:
            return losses
        return self._contested(self.adversary, losses, (clip, targets, final, weight))

    def _heatmaps(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """The final maps and the encoder's own; see `DKD.forward`."""
        share, joints = self._sequence.corrupt, self._config.joints
        maps: tuple[Tensor, Tensor] = self._running(clip)(
            clip, lambda first: corrupt(first.float(), share, joints)
        )
        return maps

    def _running(self, clip: Tensor) -> DKD:
        """The network that is run: of one that stays as it is, norms are folded away.

        On a CPU they take half of the time.
        """
        if self._config.optimiser.body_factor:
            return self._dkd
        if self._folded is None:
            dkd = self._dkd
            with torch.autocast(clip.device.type, enabled=False):
                encoder = fold_batch_norms(dkd.encoder, clip[:1, 0])
            self._folded = DKD(encoder, dkd.memory, dkd.initialiser, dkd.skip)
        return self._folded

    def _supervised(
        self, final: Tensor, alone: Tensor, targets: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        foreground, length = self._config.foreground, final.shape[1]
        head = heatmap_loss(final[:, 0], targets[:, 0], weight[:, 0], foreground)
        body = heatmap_loss(alone, targets, weight, foreground)
        losses, total = {"loss_head": head, "loss_body": body}, head / length
        if length > 1:
            rest = final[:, 1:], targets[:, 1:], weight[:, 1:]
            losses["loss_dkd"] = heatmap_loss(*rest, foreground)
            total = total + losses["loss_dkd"] * (length - 1) / length
            empty = heatmap_loss(rest[0].detach() * 0, *rest[1:], foreground)
            losses["against_empty"] = losses["loss_dkd"].detach() / empty.clamp_min(1e-12)
        return {"loss": total + self._sequence.preliminary * body, **losses}

    def _contested(
        self,
        adversary: Adversary,
        losses: dict[str, Tensor],
        window: tuple[Tensor, Tensor, Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """Let D learn from the window, and then score it."""
        clip, targets, final, weight = window
        learned = adversary.learn(clip, targets, final, weight)
        error = adversary.score(clip, final, weight)
        share = adversary.settings.weight * (1 - (adversary.settings.frames - 1) / final.shape[1])
        own = losses["loss"].detach().clamp_min(1e-12)
        measures = {**learned, "lambda": adversary.balance}
        return {
            **losses,
            "loss": losses["loss"] + share * error,
            "loss_adversarial": error,
            "against_heatmaps": share * error.detach() / own,
            **{name: error.new_tensor(value) for name, value in measures.items()},
        }
