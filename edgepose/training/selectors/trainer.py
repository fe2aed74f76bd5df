"""Training of key-frame selectors by a recipe, without labels: minutes on one core.

The frozen network's features are computed before, and kept: that takes longer than the training.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips, read_jhmdb_videos
from edgepose.evaluation.boxes import person_boxes
from edgepose.inference.model import PoseModel, load
from edgepose.models.keyframes.kfpn import EMBEDDED, GRID, KFPN
from edgepose.models.keyframes.online import OnlineConfig, OnlineDiscriminator
from edgepose.models.keyframes.rates import KeyRateNetwork
from edgepose.training.config.files import find_weights
from edgepose.training.config.selectors import SelectorConfig
from edgepose.training.log import TrainingLog
from edgepose.training.selectors.checkpoints import Selectors, save_selectors
from edgepose.training.selectors.epochs import Epochs, epochs_done
from edgepose.training.selectors.features import (
    Backbone,
    kept_features,
    resnet_of,
    trunk_of_body,
)
from edgepose.training.selectors.kfpn import (
    Features,
    require_whole_window,
    train_online,
    train_selector,
)
from edgepose.training.selectors.rates import ClipWithPoses, clip_with_poses, train_rates
from edgepose.training.trainer import Progress, RunSettings
from edgepose.utils.progress import show_progress
from edgepose.utils.signals import StopSignals
from edgepose_runtime.errors import ConfigError, DataError, OutputError

Item = TypeVar("Item")
EpochReport = Callable[[int, float], None]

#: Clips shorter than this say little about key frames.
SHORTEST = 15
#: What is trained one after the other.
_STAGES = ("selector", "online")
#: The small discriminators for streams. That of the published selector compares Y, the other the
#: trunk's features.
_ONLINE = {
    "kfpn": OnlineConfig(channels=EMBEDDED, grid=GRID, edge=True),
    "kfpn-edge": OnlineConfig(channels=64, grid=6, edge=True),
}
#: Side of a ResNet's maps, which the published discriminator compares.
_RESNET_GRID = 7


@dataclass(frozen=True, eq=False)
class SelectorData:
    """What a selector learns from.

    Attributes:
        backbone: the frozen network.
        weights: its file.
        features: of each clip, (n, C, h, w).
        examples: the same with the body's poses, for the edge form; else empty.
    """

    backbone: Backbone
    weights: Path
    features: Sequence[Features]
    examples: Sequence[ClipWithPoses] = ()


def prepare_selectors(config: SelectorConfig, root: Path, settings: RunSettings) -> SelectorData:
    """Compute the features of the training clips, or read those that are kept.

    Args:
        config: the recipe.
        root: the data folder.
        settings: where to.

    Raises:
        ConfigError: the edge form was to be resumed or limited in time, the folder holds a run
            that was stopped and is not to be resumed, or the ResNet has other channels than the
            recipe says.
        CheckpointError: the frozen network's file is missing, or another network's.
        DataError: there are no clips, or none is as long as a window.
    """
    _refuse_unfit(config, settings)
    weights = find_weights(config.start[config.frozen_part], root)
    folder = Path(config.features) if config.features else settings.folder / "features"
    read = _published_data if config.kind == "kfpn" else _edge_data
    data = read(config, root / "jhmdb", weights, folder)
    require_whole_window(data.features, online_form(config).frames)
    return data


def _refuse_unfit(config: SelectorConfig, settings: RunSettings) -> None:
    if config.kind == "kfpn-edge" and (settings.resume or settings.max_minutes < math.inf):
        raise ConfigError(
            "Training the edge form of a selector takes minutes and is not resumed; leave out "
            "--resume and --max-minutes, and name another folder with --out if this one holds a "
            "checkpoint."
        )
    # A later --resume would else mix the states of two runs.
    if not settings.resume and any(_state(settings, stage).exists() for stage in _STAGES):
        raise ConfigError(
            f"{settings.folder} holds the state of a run: give --resume to go on with it, or "
            "another folder with --out."
        )


def _state(settings: RunSettings, stage: str) -> Path:
    return settings.folder / f"state-{stage}.pt"


def online_form(config: SelectorConfig) -> OnlineConfig:
    """Return the form of a recipe's discriminator for streams."""
    if config.discriminator == "published":
        return OnlineConfig(channels=config.network.channels, grid=_RESNET_GRID)
    return _ONLINE[config.kind]


def _published_data(
    config: SelectorConfig, root: Path, weights: Path, folder: Path
) -> SelectorData:
    backbone = resnet_of(weights, config.depth, config.stride_in_1x1)
    _require_channels(config, backbone)
    videos = read_jhmdb_videos(root)
    chosen = at_most(list(videos), config.limit_clips)
    features = kept_features(backbone, {name: videos[name] for name in chosen}, folder)
    return SelectorData(backbone, weights, features)


def _require_channels(config: SelectorConfig, backbone: Backbone) -> None:
    channels = backbone.module.out_channels
    if channels != config.network.channels:
        raise ConfigError(
            f"A ResNet-{config.depth} has {channels} channels, but network.channels is "
            f"{config.network.channels}; set network.channels={channels}."
        )


def _edge_data(config: SelectorConfig, root: Path, weights: Path, folder: Path) -> SelectorData:
    backbone, clips = trunk_of_body(weights), read_jhmdb_clips(root, "train")
    clips = at_most([clip for clip in clips if len(clip) >= SHORTEST], config.limit_clips)
    features = kept_features(backbone, {clip.name: clip.frames for clip in clips}, folder)
    with load(config.model, num_threads=1) as model:
        examples = _clips_with_poses(clips, model, features)
    return SelectorData(backbone, weights, features, examples)


def _clips_with_poses(
    clips: Sequence[Clip], model: PoseModel, features: Sequence[Features]
) -> list[ClipWithPoses]:
    found = []
    with show_progress("poses", len(clips)) as progress:
        for clip, seen in zip(clips, features, strict=True):
            found.append(clip_with_poses(clip.film, seen, body_poses(clip, model)))
            progress.advance()
    return found


def body_poses(clip: Clip, model: PoseModel) -> NDArray[np.float32]:
    """Return the poses (T, K, 3) of the body network alone in the boxes of a clip."""
    spec, found = model.method.spec, []
    for frame, box in zip(clip.frames(), person_boxes(clip), strict=True):
        roi = box.squared()
        crop = spec.view.crop(frame, roi)
        found.append(spec.decode(model.method.locate(crop, roi), roi))
    return np.stack(found)


def train_selectors(
    config: SelectorConfig,
    data: SelectorData,
    settings: RunSettings,
    report: Callable[[Progress], None],
) -> bool:
    """Train a selector and its discriminator; True when both ran to their end.

    The folder receives the log, the states to go on from, and in the end checkpoint and curves.

    Args:
        config: the recipe.
        data: see :func:`prepare_selectors`.
        settings: where to; the CPU is used, whatever device they name.
        report: called after every epoch.

    Raises:
        CheckpointError: a state to resume from is damaged or does not fit.
        OutputError: the folder cannot be written.
    """
    if config.kind == "kfpn-edge":  # it keeps no state: a signal ends it at once
        return _SelectorRun(config, data, settings).train(report)
    with StopSignals() as signals:
        return _SelectorRun(config, data, settings, lambda: signals.stopped).train(report)


class _SelectorRun:
    def __init__(
        self,
        config: SelectorConfig,
        data: SelectorData,
        settings: RunSettings,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config, self._data, self._settings = config, data, settings
        self._stopped, self._began = stopped, time.monotonic()
        states = [_state(settings, stage) for stage in _STAGES if settings.resume]
        done = sum(epochs_done(state) for state in states)
        self._log = TrainingLog(settings.folder, done)

    def train(self, report: Callable[[Progress], None]) -> bool:
        config, data = self._config, self._data
        torch.manual_seed(config.selector.seed)
        selectors = self._selector(self._reporting(report, _STAGES[0], 0))
        if selectors is None:
            return False
        epochs = self._epochs(_STAGES[1])
        train_online(
            selectors.online,
            selectors.select,
            data.features,
            config.online,
            self._reporting(report, _STAGES[1], config.selector.epochs),
            selectors.compared,
            epochs,
        )
        if epochs.complete:
            _save(config, selectors, data, self._settings)
            self._log.plot(self._settings.folder / "curves.png")
        return epochs.complete

    def _selector(self, report: EpochReport) -> Selectors | None:
        """Train the selector, and put an untrained discriminator beside it; None if stopped."""
        network: KFPN | KeyRateNetwork
        config, epochs = self._config, self._epochs(_STAGES[0])
        if config.kind == "kfpn":
            network = KFPN(config.network)
            train_selector(network, self._data.features, config.selector, report, epochs)
            if not epochs.complete:
                return None
        else:
            network = train_rates(self._data.examples, config.selector, report)
        online = OnlineDiscriminator(online_form(config))
        return Selectors(self._data.backbone, network, online)

    def _epochs(self, stage: str) -> Epochs:
        if self._config.kind == "kfpn-edge":
            return Epochs()
        return Epochs(_state(self._settings, stage), self._settings.resume, self._stops)

    def _stops(self) -> bool:
        late = time.monotonic() - self._began > 60 * self._settings.max_minutes
        return late or self._stopped()

    def _reporting(
        self, report: Callable[[Progress], None], stage: str, before: int
    ) -> EpochReport:
        def report_epoch(epoch: int, loss: float) -> None:
            step, metrics = before + epoch, {f"loss_{stage}": loss}
            self._log.add({"step": step, **metrics})
            report(Progress(step, self._config.total_steps, metrics))

        return report_epoch


def _save(
    config: SelectorConfig, selectors: Selectors, data: SelectorData, settings: RunSettings
) -> None:
    try:
        save_selectors(settings.checkpoint, selectors, data.weights)
        text = json.dumps(config.as_dict(), indent=1) + "\n"
        (settings.folder / "config.json").write_text(text, encoding="utf8")
    except OSError as error:
        raise OutputError(f"The folder {settings.folder} cannot be written: {error}.") from error


def at_most(items: list[Item], count: int | None) -> list[Item]:
    """Return all, or every 2nd, 3rd, ... so that no more than so many are left.

    Raises:
        DataError: there is none.
    """
    if not items:
        raise DataError("There is no clip to train on; name another folder with --data-root.")
    return items[:: -(-len(items) // (count or len(items)))]
