"""Inferences joined into one: of several streams, or of several people in a frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition

import numpy as np

from edgepose_runtime.backends import Network
from edgepose_runtime.tensors import Array, TensorSpec

#: A batch must be faster than single inferences by this factor: it makes streams wait.
WORTHWHILE_GAIN = 1.2
_TRIALS = 8

Feeds = Mapping[str, Array]


class _Call:
    """One thread's wish for an inference, and what came of it."""

    def __init__(self, network: Network, feeds: Feeds) -> None:
        self.network = network
        self.feeds = feeds
        self.taken = False
        self.outcome: dict[str, Array] | BaseException | None = None

    def result(self) -> dict[str, Array]:
        if isinstance(self.outcome, dict):
            return self.outcome
        raise self.outcome or RuntimeError("The inference of a batch has no outcome.")


class BatchCoordinator:
    """The threads that work on frames: a batch is full when each of them waits for one.

    There is no timeout: each participating thread will either ask for an inference too, or be done
    with its frame. Any thread may call.

    Args:
        largest: samples in a batch, at most.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._changed = Condition()
        self._working = 0
        self._calls: list[_Call] = []

    @contextmanager
    def participating(self) -> Iterator[None]:
        """Count this thread as participating inside the block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def infer(self, network: Network, feeds: Feeds) -> dict[str, Array]:
        """Run a network on one sample, together with what others ask of it."""
        call = _Call(network, feeds)
        batch = self._join(call)
        if batch:
            outcomes = _run(network, batch)
            with self._changed:
                for each, outcome in zip(batch, outcomes, strict=True):
                    each.outcome = outcome
                self._changed.notify_all()
        else:
            with self._changed:
                self._changed.wait_for(lambda: call.outcome is not None)
        return call.result()

    def _join(self, call: _Call) -> list[_Call]:
        """Wait for company; return the batch if it is this thread that runs it.

        That is the thread that has waited longest, so that no network is put off for ever.
        """
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: call.taken or self._is_turn_of(call))
            except BaseException:  # an interrupt: nobody else may wait for this call
                self._calls = [each for each in self._calls if each is not call]
                self._changed.notify_all()
                raise
            if call.taken:
                return []
            batch = [each for each in self._calls if each.network is call.network]
            batch = batch[: self._largest]
            for each in batch:
                each.taken = True
            self._calls = [each for each in self._calls if not each.taken]
            self._changed.notify_all()
            return batch

    def _is_turn_of(self, call: _Call) -> bool:
        return self._calls[0] is call and len(self._calls) >= self._working

    def _count(self, change: int) -> None:
        with self._changed:
            self._working += change
            self._changed.notify_all()


class BatchingNetwork(Network):
    """A network whose inferences are joined with those of other participating threads.

    Args:
        network: takes any number of samples at a time.
        coordinator: the threads that wait for each other.
    """

    def __init__(self, network: Network, coordinator: BatchCoordinator) -> None:
        self.inputs = network.inputs
        self.outputs = network.outputs
        self.device = network.device
        self.precision = network.precision
        self._network = network
        self._coordinator = coordinator

    def infer(self, feeds: Feeds) -> dict[str, Array]:
        """Run the network on one sample; see :meth:`Network.infer`."""
        return self._coordinator.infer(self._network, feeds)

    def close(self) -> None:
        """Release the network."""
        self._network.close()


class BatchSizes(Network):
    """A network for any number of samples at a time, made of some that take fixed numbers.

    Networks of fixed shape are faster than one of any shape, also per sample.

    Args:
        networks: the same network by how many samples it takes: 1, 2, and so on.
    """

    def __init__(self, networks: Mapping[int, Network]) -> None:
        one = networks[1]
        self.inputs = {name: _of_any_number(spec) for name, spec in one.inputs.items()}
        self.outputs = {name: _of_any_number(spec) for name, spec in one.outputs.items()}
        self.device, self.precision = one.device, one.precision
        self._networks = dict(networks)

    def infer(self, feeds: Feeds) -> dict[str, Array]:
        """Run the network on one or more samples; see :meth:`Network.infer`."""
        count = len(next(iter(feeds.values())))
        parts, start = [], 0
        for size in even_parts(count, max(self._networks)):
            part = {name: array[start : start + size] for name, array in feeds.items()}
            parts.append(self._networks[size].infer(part))
            start += size
        return stack(parts)

    def close(self) -> None:
        """Release the networks."""
        for network in self._networks.values():
            network.close()


def even_parts(count: int, largest: int) -> list[int]:
    """Return as few sizes as possible of at most ``largest`` that add up to a count.

    They differ by one at most: a rest of one sample costs more than smaller parts do.
    """
    parts = -(-count // largest)
    return [(count + index) // parts for index in reversed(range(parts))]


def _of_any_number(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.dtype, ("N", *spec.shape[1:]))


def _run(network: Network, batch: Sequence[_Call]) -> list[dict[str, Array] | BaseException]:
    try:
        results = network.infer(stack([call.feeds for call in batch]))
    except BaseException as error:  # noqa: BLE001 - each thread of the batch raises it
        return [error] * len(batch)
    return [
        {name: array[index : index + 1].copy() for name, array in results.items()}
        for index in range(len(batch))
    ]


def stack(feeds: Sequence[Feeds]) -> dict[str, Array]:
    """Return one batch of single samples."""
    if len(feeds) == 1:
        return dict(feeds[0])
    return {name: np.concatenate([each[name] for each in feeds]) for name in feeds[0]}


def gain_of_batches(batched: Network, single: Network, size: int, workers: int) -> float:
    """Measure how much faster a batch runs than its samples do on threads side by side.

    Args:
        batched: takes any number of samples at a time.
        single: takes one sample, from several threads.
        size: samples in a batch.
        workers: threads.
    """
    sample = {
        name: np.zeros([1, *(int(side) for side in spec.shape[1:])], spec.dtype)
        for name, spec in batched.inputs.items()
    }
    batch = stack([sample] * size)
    apart, joined = [], []
    with ThreadPoolExecutor(workers, thread_name_prefix="edgepose-trial") as threads:
        for _ in range(_TRIALS + 1):
            apart.append(_seconds(lambda: list(threads.map(single.infer, [sample] * size))))
            joined.append(_seconds(lambda: batched.infer(batch)))
    # Without the first, in which memory is allocated; the least, as others use the machine too.
    return min(apart[1:]) / min(joined[1:])


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
