import asyncio
import threading

import numpy as np
import pytest

from edgepose import AsyncPoseTracker, FrameDrop, PoseResult
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.errors import ClosedError, ConfigError, FrameError

FRAME = np.zeros((240, 320, 3), np.uint8)


def model(method=None):
    return fake_model(method or FakeMethod(standing_person((160, 120), 160)))


def run(coroutine):
    async def bounded():
        return await asyncio.wait_for(coroutine, 30)

    return asyncio.run(bounded())


async def ticks(counter):
    while True:
        counter.append(None)
        await asyncio.sleep(0)


def test_frames_are_awaited_in_the_order_of_the_calls():
    async def program():
        async with AsyncPoseTracker(model()) as tracker:
            return await asyncio.gather(*(tracker.submit(FRAME, 33.0 * n) for n in range(40)))

    results = run(program())
    assert [result.frame_id for result in results] == list(range(40))
    assert all(isinstance(r, PoseResult) and r.keypoints is not None for r in results)


class Held(FakeMethod):
    """Networks that wait for permission."""

    def __init__(self, *words):
        super().__init__(*words)
        self.go = threading.Event()

    def locate(self, crop, roi):
        assert self.go.wait(20)
        return super().locate(crop, roi)


def test_the_loop_goes_on_while_a_frame_is_tracked():
    method, counter = Held(standing_person((160, 120), 160)), []

    async def program():
        async with AsyncPoseTracker(model(method)) as tracker:
            clock = asyncio.create_task(ticks(counter))
            waiting = asyncio.create_task(tracker.submit(FRAME))
            while len(counter) < 100:
                await asyncio.sleep(0)
            assert not waiting.done()
            method.go.set()
            result = await waiting
            clock.cancel()
            return result

    assert run(program()).keypoints is not None


def test_a_refused_frame_raises_and_the_next_is_tracked():
    async def program():
        async with AsyncPoseTracker(model()) as tracker:
            with pytest.raises(FrameError):
                await tracker.submit(FRAME.astype(float))
            return await tracker.submit(FRAME)

    assert run(program()).keypoints is not None


class Broken(FakeMethod):
    def locate(self, *_):
        raise ValueError("no network")


def test_an_error_of_a_network_is_raised_where_the_frame_is_awaited():
    async def program():
        async with AsyncPoseTracker(model(Broken(standing_person((160, 120), 160)))) as tracker:
            await tracker.submit(FRAME)

    with pytest.raises(ValueError, match="no network"):
        run(program())


def test_frames_that_are_superseded_come_as_drops():
    method = Held(standing_person((160, 120), 160))

    async def program():
        async with AsyncPoseTracker(model(method), policy="latest") as tracker:
            waiting = [asyncio.create_task(tracker.submit(FRAME, 33.0 * n)) for n in range(6)]
            while not waiting[4].done():
                await asyncio.sleep(0)
            method.go.set()
            return await asyncio.gather(*waiting)

    outcomes = run(program())
    assert isinstance(outcomes[-1], PoseResult)
    assert sum(isinstance(outcome, FrameDrop) for outcome in outcomes) >= 4


def test_a_stream_is_iterated_and_another_may_follow():
    async def program():
        async with AsyncPoseTracker(model()) as tracker:
            first = [result.frame_id async for result in tracker.stream([FRAME] * 5)]
            pairs = [pair async for pair in tracker.stream([FRAME] * 3, with_frames=True)]
            return first, pairs

    first, pairs = run(program())
    assert first == [0, 1, 2, 3, 4]
    assert [(frame.shape, result.frame_id) for frame, result in pairs] == [
        ((240, 320, 3), n) for n in range(3)
    ]


def test_a_cancelled_loop_closes_its_source_and_the_tracker_can_go_on():
    def endless():
        while True:
            yield FRAME

    async def program():
        async with AsyncPoseTracker(model()) as tracker:
            started = asyncio.Event()

            async def watch():
                async for _ in tracker.stream(endless()):
                    started.set()

            task = asyncio.create_task(watch())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return [result.frame_id async for result in tracker.stream([FRAME] * 2)]

    assert run(program()) == [0, 1]


def test_closing_ends_what_is_waited_for():
    method = Held(standing_person((160, 120), 160))

    async def program():
        async with AsyncPoseTracker(model(method)) as tracker:
            waiting = [asyncio.create_task(tracker.submit(FRAME, 33.0 * n)) for n in range(2)]
            while tracker.stats.frames < 2:
                await asyncio.sleep(0)
            threading.Timer(0.05, method.go.set).start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(each, (PoseResult, FrameDrop, ClosedError)) for each in run(program()))


def test_callbacks_and_use_outside_of_async_with_are_refused():
    with pytest.raises(ConfigError, match="on_result"):
        AsyncPoseTracker(model(), on_result=print)
    with pytest.raises(ClosedError, match="async with"):
        run(AsyncPoseTracker(model()).submit(FRAME))
