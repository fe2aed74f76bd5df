"""Networks for several streams: joined inferences where those are faster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from edgepose.inference.batching import (
    WORTHWHILE_GAIN,
    BatchCoordinator,
    BatchingNetwork,
    gain_of_batches,
)
from edgepose.inference.model import PoseModel, open_model
from edgepose.utils.machine import usable_cores
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
        participating: each of them works on a frame inside this context.
        batches: whether inferences are joined.
    """

    model: PoseModel
    workers: int
    participating: Callable[[], AbstractContextManager[None]] = nullcontext
    batches: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A way to share, and the network that runs on every frame."""

    shared: SharedModel
    network: Network


def share(model: PoseModel) -> SharedModel:
    """Let several streams use a model as it is."""
    return SharedModel(model, workers=_workers())


def open_shared(
    model: str | Path, backend: str, settings: BackendSettings, *, batching: bool | None
) -> SharedModel:
    """Load networks for several streams.

    Args:
        model: name of a shipped bundle, or the path of one.
        backend: what runs the networks.
        settings: how.
        batching: whether to join inferences, rather than to run them side by side; ``None`` to
            measure which is faster.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
        BackendError: the backend is not installed, or has no such device.
    """
    if batching is True:
        return _open_batching(model, backend, settings).shared
    apart = _open_apart(model, backend, settings)
    if batching is False:
        return apart.shared
    joined = _open_batching(model, backend, settings)
    better, worse = (joined, apart) if _is_worthwhile(joined, apart) else (apart, joined)
    worse.shared.model.close()
    return better.shared


def _open_apart(model: str | Path, backend: str, settings: BackendSettings) -> _Candidate:
    workers = _workers()
    # As many inferences side by side as there are cores: none waits for the others' slowest part.
    settings = replace(
        settings, batch=1, concurrency=workers, num_threads=settings.num_threads or 1
    )
    networks: dict[str, Network] = {}

    def keep(name: str, network: Network) -> Network:
        networks[name] = network
        return network

    opened = open_model(model, backend, settings, keep)
    return _Candidate(SharedModel(opened, workers), _network_of_every_frame(networks))


def _open_batching(model: str | Path, backend: str, settings: BackendSettings) -> _Candidate:
    coordinator = BatchCoordinator(LARGEST_BATCH)
    networks: dict[str, Network] = {}

    def join(name: str, network: Network) -> Network:
        networks[name] = network
        return BatchingNetwork(network, coordinator)

    opened = open_model(model, backend, replace(settings, batch=None), join)
    shared = SharedModel(opened, LARGEST_BATCH, coordinator.participating, batches=True)
    return _Candidate(shared, _network_of_every_frame(networks))


def _network_of_every_frame(networks: Mapping[str, Network]) -> Network:
    """Return the one that is no head: that runs now and then only."""
    return networks["step"] if "step" in networks else networks["body"]


def _is_worthwhile(joined: _Candidate, apart: _Candidate) -> bool:
    gain = gain_of_batches(joined.network, apart.network, _TRIAL_BATCH, apart.shared.workers)
    logger.info("Batches of %d run %.2f times as fast as single crops.", _TRIAL_BATCH, gain)
    return gain >= WORTHWHILE_GAIN


def _workers() -> int:
    return min(usable_cores(), LARGEST_BATCH)
