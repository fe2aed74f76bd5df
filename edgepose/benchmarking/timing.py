"""Timing several candidates interleaved, so that a noisy machine favours none of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from edgepose.stats import StageLatency
from edgepose_runtime.backends import Network
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.tensors import Array, TensorSpec

#: Takes the number of a step; returns ms by stage, or nothing where the step does not count.
Task = Callable[[int], Mapping[str, float]]
#: Calls at the start of each turn that do not count, at least; see :attr:`Plan.warmup_ms`.
WARMUP_CALLS = 2
#: Calls that count in the turn of the slowest.
LEAST_CALLS = 3

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Plan:
    """How often each candidate runs.

    Attributes:
        rounds: in each, every candidate has one turn.
        calls: calls in a turn that count, at most.
        warmup_ms: so long at the start of a turn calls do not count. Caches belong to the
            candidate before: a light network is as fast as in a stream only after a while.
        turn_ms: a turn that counted so long ends after :data:`LEAST_CALLS` already.
        seed: of the order within the rounds.
    """

    rounds: int = 20
    calls: int = 30
    warmup_ms: float = 60.0
    turn_ms: float = 250.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.calls < 1:
            raise ConfigError(
                "A benchmark needs at least 1 round of 1 call; "
                f"got {self.rounds} rounds of {self.calls}."
            )


def shuffled_rounds(names: Sequence[Key], plan: Plan) -> Iterator[list[Key]]:
    """Yield the names in a new random order for each round."""
    random = Random(plan.seed)
    for _ in range(plan.rounds):
        yield random.sample(names, len(names))


def measure(
    tasks: Mapping[Key, Task],
    plan: Plan,
    on_turn: Callable[[Key], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Key, dict[str, StageLatency]]:
    """Run tasks interleaved.

    Args:
        tasks: what to time.
        plan: how often.
        on_turn: called after each turn, for a progress bar.
        clock: seconds, for the length of rounds.

    Returns:
        Latency of each task by stage; a stage that never occurred is not there.
    """
    samples: dict[Key, dict[str, list[float]]] = {key: {} for key in tasks}
    steps = dict.fromkeys(tasks, 0)
    for order in shuffled_rounds(list(tasks), plan):
        for key in order:
            for _ in _calls(math.inf, WARMUP_CALLS, plan.warmup_ms, clock):
                tasks[key](steps[key])
                steps[key] += 1
            for _ in _calls(plan.calls, LEAST_CALLS, plan.turn_ms, clock):
                _add(samples[key], tasks[key](steps[key]))
                steps[key] += 1
            if on_turn is not None:
                on_turn(key)
    return {
        key: {stage: StageLatency.of(values) for stage, values in stages.items()}
        for key, stages in samples.items()
    }


def _calls(
    most: float, least: int, milliseconds: float, clock: Callable[[], float]
) -> Iterator[int]:
    """Count calls until the time is over, within limits."""
    end = clock() + milliseconds / 1e3
    done = 0
    while done < most and (done < least or clock() < end):
        yield done
        done += 1


def _add(samples: dict[str, list[float]], stages: Mapping[str, float]) -> None:
    for stage, milliseconds in stages.items():
        samples.setdefault(stage, []).append(milliseconds)


def forward_and_backward(step: int, count: int) -> int:
    """Return the place of a step on a walk over ``count`` places that turns round at the ends."""
    if count == 1:
        return 0
    place = step % (2 * count - 2)
    return min(place, 2 * count - 2 - place)


class TimedNetwork(Network):
    """A network that adds up how long it takes.

    Attributes:
        milliseconds: the sum since it was last set to 0.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.inputs: Mapping[str, TensorSpec] = network.inputs
        self.outputs: Mapping[str, TensorSpec] = network.outputs
        self.device, self.precision = network.device, network.precision
        self.milliseconds = 0.0

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network; see :meth:`Network.infer`."""
        start = time.perf_counter()
        outputs = self._network.infer(feeds)
        self.milliseconds += 1e3 * (time.perf_counter() - start)
        return outputs

    def close(self) -> None:
        """Close the network; see :meth:`Network.close`."""
        self._network.close()
