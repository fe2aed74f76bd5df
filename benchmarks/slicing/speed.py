"""What a new frame costs: flow, messages of the sliding slice, and the dense form in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose.refinement.thin_slicing import FLOW_SIZE
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.optical_flow import DisFlow
from edgepose_runtime.thin_slicing.sliding import SlidingSlice
from edgepose_runtime.thin_slicing.springs import initial_springs

SIDE, FRAMES = 64, 60
SLICE = 5

Timer = Callable[[Callable[[], object]], float]


class Speed(NamedTuple):
    """In ms of one core: processor time, which other programs disturb less than the clock.

    The kernels compute on the thread that calls them, without Python's lock: a second thread is
    for a second stream.

    Attributes:
        messages: incremental, one new frame of the sliding slice, median.
        messages_p95: the same, 95th percentile.
        two_threads: the same for two streams, each on a thread of its own; by the clock, median.
        whole_slice: one slice of five frames from nothing.
        flow: there and back between two crops.
        dense_torch: one slice of five frames in the dense form.
    """

    messages: float
    messages_p95: float
    two_threads: float
    whole_slice: float
    flow: float
    dense_torch: float


def measure_speed() -> Speed:
    """Measure everything on made-up heat-maps with noise."""
    maps, grid = _heatmaps(FRAMES), _identity()
    times = sorted(_sliding(maps, grid, _timed))
    with ThreadPoolExecutor(2) as threads:
        streams = list(threads.map(lambda _: _sliding(maps, grid, _clocked), range(2)))
    both = sorted(chain(*streams))
    whole = min(_timed(lambda: _one_slice(maps[:SLICE], grid)) for _ in range(3))
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, FLOW_SIZE, FLOW_SIZE)).astype(np.uint8)
    flow = DisFlow()
    flows = sorted(_timed(lambda: (flow(first, second), flow(second, first))) for _ in range(20))
    return Speed(
        messages=times[len(times) // 2],
        messages_p95=times[int(0.95 * len(times))],
        two_threads=both[len(both) // 2],
        whole_slice=whole,
        flow=flows[10],
        dense_torch=_dense(maps, grid),
    )


def _sliding(maps: NDArray[np.float32], grid: NDArray[np.float32], timed: Timer) -> list[float]:
    sliding, times = SlidingSlice(initial_springs(body_graph(PENN13)), lag=2), []
    for frame in range(len(maps)):

        def step(frame: int = frame) -> None:
            sliding.push(maps[frame], lambda *_: grid)
            if frame >= 2:
                sliding.refined(frame - 2)

        times.append(timed(step))
    return times[10:]  # kernels compile, caches fill


def _one_slice(maps: NDArray[np.float32], grid: NDArray[np.float32]) -> None:
    sliding = SlidingSlice(initial_springs(body_graph(PENN13)), lag=len(maps) - 1)
    for each in maps:
        sliding.push(each, lambda *_: grid)
    for frame in range(len(maps)):
        sliding.refined(frame)


def _dense(maps: NDArray[np.float32], grid: NDArray[np.float32]) -> float:
    import torch

    from edgepose.models.thin_slicing.message_passing import MessagePassing

    torch.set_num_threads(1)
    passing = MessagePassing(initial_springs(body_graph(PENN13)))
    slices = torch.from_numpy(maps[:SLICE])[None]
    grids = torch.from_numpy(grid).expand(1, SLICE, 2, SIDE, SIDE, 2)
    with torch.inference_mode():
        return _timed(lambda: passing(slices, grids))


def _timed(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def _clocked(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _heatmaps(frames: int) -> NDArray[np.float32]:
    rng, cells = np.random.default_rng(0), np.arange(SIDE)
    x, y = rng.uniform(8, SIDE - 8, (2, 1, PENN13.num_joints, 1, 1)) + rng.normal(
        0, 1, (2, frames, PENN13.num_joints, 1, 1)
    )
    maps = np.exp(-((cells - x) ** 2 + (cells[:, None] - y) ** 2) / 8)
    return np.asarray(maps + 0.05 * rng.random(maps.shape), np.float32)


def _identity() -> NDArray[np.float32]:
    return np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).astype(np.float32)
