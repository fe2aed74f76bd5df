"""The selectors that are learned: K-FPN, published and for the edge, and its form for streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.keyframes.poses import FrameWisePoses
from benchmarks.keyframes.selection import SelectionScorer
from benchmarks.keyframes.table import chosen_table
from edgepose.models.keyframes.kfpn import KFPN
from edgepose.models.keyframes.online import OnlineKeyFrameSelector
from edgepose.training.selectors.checkpoints import load_selectors
from edgepose.training.selectors.features import kept_features


class Networks:
    """Chooses key frames by trained networks.

    Args:
        path: a checkpoint of ``edgepose train kfpn/...``.
        folder: keeps the backbone's features.
        clips: that frames are chosen of.

    Attributes:
        name: in tables.
    """

    def __init__(self, path: Path, folder: Path, clips: Sequence[FrameWisePoses]) -> None:
        torch.set_num_threads(1)
        self._loaded = load_selectors(path)
        self._said: dict[str, Tensor] = {}
        network = self._loaded.network
        published = isinstance(network, KFPN)
        self.name = f"K-FPN, {'published' if published else 'edge'}"
        if isinstance(network, KFPN) and not network.config.fixed_scale:
            self.name += ", " + ("norm" if network.config.power == 1 else "squared norm")
        frames = {clip.clip.name: clip.clip.frames for clip in clips}
        kept = folder / ("published" if published else "edge")
        found = kept_features(self._loaded.backbone, frames, kept)
        self._kept = {
            name: torch.from_numpy(np.array(each, np.float32))
            for name, each in zip(frames, found, strict=True)
        }

    def choose(self, clip: FrameWisePoses, count: int) -> list[int]:
        """Choose so many frames."""
        name = clip.clip.name
        if name not in self._said:
            self._said[name] = self._loaded.predict(self._features(clip))
        return self._loaded.chosen(self._said[name], count)

    def online_table(self, scorer: SelectionScorer) -> dict[str, Any]:
        """Compare decisions from the past alone with those from whole windows (Table 3)."""
        batch = [self._loaded.choose(self._features(clip)) for clip in scorer.clips]
        online = [self._online(clip) for clip in scorer.clips]
        return chosen_table(scorer, {"batch": batch, "online": online})

    def _online(self, clip: FrameWisePoses) -> list[int]:
        loaded = self._loaded
        stream = OnlineKeyFrameSelector(loaded.select, loaded.online, loaded.compared)
        keys: list[int] = []
        for index, features in enumerate(self._features(clip)):
            keys += [index - age for age in stream.take(features)]
        keys += [len(clip.clip) - 1 - age for age in stream.flush()]
        return sorted(keys)

    def _features(self, clip: FrameWisePoses) -> Tensor:
        return self._kept[clip.clip.name]
