"""Networks for several streams: joined inferences where those are faster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from edgepose.batching import WORTHWHILE_GAIN, BatchingNetwork, Crew, gain_of_batches
from edgepose.loading import PoseModel, open_model
from edgepose_runtime.backends import BackendSettings, Network

logger = logging.getLogger("edgepose")

#: Streams whose crops are joined, at most; also the threads that prepare them.
LARGEST_BATCH = 8
#: With this many a batch is tried out.
_TRIAL_BATCH = 4


@dataclass(frozen=True, slots=True, eq=False)
class SharedModel:
    """Networks for several streams.

    Attributes:
        model: the networks.
        workers: how many threads should work on frames.
        at_work: each of them works on a frame inside this context.
        batches: whether inferences are joined.
    """

    model: PoseModel
    workers: int
    at_work: Callable[[], AbstractContextManager[None]] = nullcontext
    batches: bool = False


def share(model: PoseModel) -> SharedModel:
    """Let several streams use a model as it is."""
    return SharedModel(model, workers=min(_cores(), LARGEST_BATCH))


def open_shared(
    model: str | Path, backend: str, settings: BackendSettings, *, batching: bool | None
) -> SharedModel:
    """Load networks for several streams.

    Args:
        model: name of a shipped bundle, or the path of one.
        backend: what runs the networks.
        settings: how.
        batching: whether to join inferences; ``None`` to measure which is faster.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        BackendError: the backend is not installed, or has no such device.
    """
    if batching is not False:
        shared, networks = _open_batching(model, backend, settings)
        if batching or _is_worthwhile(networks):
            return shared
        shared.model.close()
    return share(open_model(model, backend, replace(settings, batch=1)))


def _open_batching(
    model: str | Path, backend: str, settings: BackendSettings
) -> tuple[SharedModel, list[Network]]:
    crew = Crew(LARGEST_BATCH)
    networks: list[Network] = []

    def join(network: Network) -> Network:
        networks.append(network)
        return BatchingNetwork(network, crew)

    opened = open_model(model, backend, replace(settings, batch=None), join)
    return SharedModel(opened, LARGEST_BATCH, crew.at_work, batches=True), networks


def _is_worthwhile(networks: list[Network]) -> bool:
    # The network of every frame takes the last heat-maps as well; the head is not worth the trial.
    gain = gain_of_batches(max(networks, key=lambda each: len(each.inputs)), _TRIAL_BATCH)
    logger.info("Batches of %d run %.2f times as fast as single crops.", _TRIAL_BATCH, gain)
    return gain >= WORTHWHILE_GAIN


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
