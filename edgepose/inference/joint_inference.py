"""Inferences for all people of a frame, computed in batches before each is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepose.inference.batching import Feeds, stack
from edgepose.inference.estimator import Image, StageClock
from edgepose.inference.model import PoseModel
from edgepose.methods.base import Crop, ForeseeingMethod
from edgepose_runtime.backends import Network
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.tensors import Array

#: Batches are of these sizes: a network runs faster where its batch is fixed.
BATCH_SIZES = (4, 2)
IMAGE = "image"


@dataclass(frozen=True, slots=True, eq=False)
class ComingView:
    """What will be looked at, unless something unforeseen happens.

    Attributes:
        roi: where.
        state: that the method goes on from; ``None`` to start.
        head: the head will run.
    """

    roi: Roi
    state: Any
    head: bool


class PreparedNetwork(Network):
    """A network that knows the answers for some crops already. For one thread at a time.

    Args:
        network: takes one crop.
        batches: the same network for batches, by size, the largest first.
    """

    def __init__(self, network: Network, batches: Mapping[int, Network]) -> None:
        self.inputs = network.inputs
        self.outputs = network.outputs
        self.device = network.device
        self.precision = network.precision
        self._network = network
        self._batches = batches
        self._known: list[tuple[Array, dict[str, Array]]] = []

    def prepare(self, crops: Sequence[Crop]) -> None:
        """Run the network on crops in batches; whatever was known before is forgotten."""
        self._known.clear()
        rest = [crop[None] for crop in crops]
        for size, network in self._batches.items():
            while len(rest) >= size:
                batch, rest = rest[:size], rest[size:]
                answers = network.infer(stack([{IMAGE: crop} for crop in batch]))
                self._known += [
                    (crop, {name: array[index : index + 1] for name, array in answers.items()})
                    for index, crop in enumerate(batch)
                ]

    def infer(self, feeds: Feeds) -> dict[str, Array]:
        """Return the answer for a crop, if it is known, else run the network."""
        for crop, answer in self._known:
            if np.array_equal(crop, feeds[IMAGE]):
                return answer
        return self._network.infer(feeds)

    def close(self) -> None:
        """Do nothing: the networks belong to the model."""


class JointInference:
    """Networks for several people of one stream, a frame at a time. For one thread at a time.

    Attributes:
        model: the model, with networks that know the answers that were prepared.

    Args:
        model: of the tracker.
        most: how many people there are at most.
    """

    def __init__(self, model: PoseModel, most: int) -> None:
        self.model = model
        self._prepared: dict[str, PreparedNetwork] = {}
        sizes = [size for size in BATCH_SIZES if size <= most]
        batches = model.batches
        if batches is None or not sizes or not isinstance(model.method, ForeseeingMethod):
            return
        for name, network in batches.single.items():
            if set(network.inputs) == {IMAGE} and batches.run_faster(name, sizes[0]):
                joined = {size: batches.get(name, size) for size in sizes}
                self._prepared[name] = PreparedNetwork(network, joined)
        if self._prepared:
            self.model = model.with_networks({**batches.single, **self._prepared})

    @property
    def is_used(self) -> bool:
        """Whether any network runs faster in batches."""
        return bool(self._prepared)

    def warmup(self) -> None:
        """Run each network once in batches of each size."""
        crop: Crop = np.zeros(self.model.method.spec.view.shape, np.uint8)
        for network in self._prepared.values():
            network.prepare([crop] * sum(BATCH_SIZES))

    def prepare(self, image: Image, views: Sequence[ComingView], clock: StageClock) -> None:
        """Run networks on what will be looked at in a frame; forget the frame before.

        Args:
            image: uint8 BGR (H, W, 3).
            views: of one person each.
            clock: times the stages.
        """
        method = self.model.method
        if not isinstance(method, ForeseeingMethod):
            return
        with clock.stage("crop"):
            crops = [method.spec.view.crop(image, view.roi) for view in views]
        inputs = [
            pair
            for view, crop in zip(views, crops, strict=True)
            for pair in method.inputs(crop, view.state, head=view.head)
        ]
        for name, network in self._prepared.items():
            with clock.stage("head" if name == "head" else "network"):
                network.prepare([crop for each, crop in inputs if each == name])
