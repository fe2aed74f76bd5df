"""The selectors that are learned: K-FPN on the body's trunk, its rates, its form for streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.key_greedy import GreedySelector
from benchmarks.key_poses import CLEAN, FrameWisePoses
from benchmarks.key_selection import LENGTH, Judge
from edgepose.models.key_rates import chosen_by_rates
from edgepose.models.kfpn import key_frames, selector_of
from edgepose.models.online_keys import StreamKeys
from edgepose.training.key_rates import load_rates
from edgepose.training.selection import window_of
from edgepose.training.selectors import load_selectors, trunk_features


class Rates:
    """Chooses key frames by learned rates.

    Args:
        path: a checkpoint of ``python -m edgepose.training.key_rates``.
    """

    def __init__(self, path: Path) -> None:
        torch.set_num_threads(1)
        self._trunk, self._model = load_rates(path)
        self._kept: dict[str, Tensor] = {}

    def choose(self, clip: FrameWisePoses, count: int) -> list[int]:
        """Choose frames at even steps of the rates' sum."""
        name = clip.clip.name
        if name not in self._kept:
            features = trunk_features(self._trunk, clip.clip.frames())
            self._kept[name] = torch.from_numpy(features)
        return chosen_by_rates(self._model, self._kept[name], count)


class Networks:
    """Chooses key frames by trained networks.

    Args:
        path: a checkpoint of ``python -m edgepose.training.selectors``.
    """

    def __init__(self, path: Path) -> None:
        torch.set_num_threads(1)
        self._loaded = load_selectors(path)
        self._greedy = GreedySelector(LENGTH)
        self._kept: dict[str, Tensor] = {}

    def choose(self, clip: FrameWisePoses, count: int) -> list[int]:
        """Choose the frames that K-FPN scores best."""
        with torch.no_grad():
            selection = self._loaded.selector.eval()(self._window(clip))[0]
        frames = len(clip.clip)
        return key_frames(selection[:frames], self._loaded.selector.config.threshold, count)

    def choose_greedily(self, clip: FrameWisePoses, count: int) -> list[int]:
        """Choose what leaves least of the trunk's features unexplained."""
        return self._greedy(self._features(clip).mean(dim=(2, 3)).numpy(), count)

    def online_table(self, judge: Judge) -> dict[str, Any]:
        """Compare decisions from the past alone with those from whole windows (Table 3)."""
        batch = [self._batch(clip) for clip in judge.clips]
        online = [self._online(clip) for clip in judge.clips]
        return {"batch": _row(judge, batch), "online": _row(judge, online)}

    def _batch(self, clip: FrameWisePoses) -> list[int]:
        return selector_of(self._loaded.selector)(self._window(clip), len(clip.clip))

    def _online(self, clip: FrameWisePoses) -> list[int]:
        stream = StreamKeys(selector_of(self._loaded.selector), self._loaded.online)
        keys: list[int] = []
        for index, features in enumerate(self._features(clip)):
            keys += [index - age for age in stream.take(features)]
        keys += [len(clip.clip) - 1 - age for age in stream.flush()]
        return sorted(keys)

    def _window(self, clip: FrameWisePoses) -> Tensor:
        return window_of(self._features(clip).numpy(), 0, LENGTH)[0]

    def _features(self, clip: FrameWisePoses) -> Tensor:
        name = clip.clip.name
        if name not in self._kept:
            features = trunk_features(self._loaded.trunk, clip.clip.frames())
            self._kept[name] = torch.from_numpy(features)
        return self._kept[name]


def _row(judge: Judge, keys: list[list[int]]) -> dict[str, float]:
    poses = [judge.path(c.poses[CLEAN], k) for c, k in zip(judge.clips, keys, strict=True)]
    rates = [LENGTH * len(k) / len(c.clip) for c, k in zip(judge.clips, keys, strict=True)]
    return {
        "pck": judge.pck(poses),
        "keys_of_40": float(np.mean(rates)),
        "deviation": float(np.std(rates)),
    }
