import itertools
import os
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgepose.inference.batching import BatchCoordinator, BatchingNetwork, gain_of_batches
from edgepose.inference.model import open_model
from edgepose.pool import TrackerPool
from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import make_policy
from edgepose.streaming.pipeline import Pipeline
from edgepose.streaming.stream_queue import StreamQueue
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.backends import BackendSettings
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.capture import FrameSource, LiveSettings, open_source
from edgepose_runtime.capture.live import LiveSource
from edgepose_runtime.errors import (
    ClosedError,
    ConfigError,
    EdgePoseError,
    InferenceError,
    SourceError,
)
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.tensors import TensorSpec

FRAME = np.zeros((240, 320, 3), np.uint8)
PERSON = standing_person((160, 120), height=120)
SECONDS = 20.0


class Listener:
    """Keeps the notifications, by source."""

    def __init__(self):
        self.results = defaultdict(list)
        self.errors = defaultdict(list)
        self.drops = defaultdict(list)
        self.events = defaultdict(list)

    @property
    def callbacks(self):
        return {
            "on_result": lambda name, result: self.results[name].append(result.frame_id),
            "on_error": lambda name, failure: self.errors[name].append(failure),
            "on_drop": lambda name, drop: self.drops[name].append(drop),
            "on_event": lambda name, event: self.events[name].append(str(event.kind)),
        }


class BlockedSource(FrameSource):
    """A camera whose read never returns."""

    is_live = True

    def __init__(self, gate):
        super().__init__("blocked camera")
        self._gate = gate

    def _frames(self):
        yield FRAME, 0.0
        self._gate.wait()


class HangingCamera:
    """Opens, and hangs in its first read."""

    fps = 25.0
    finished = False

    def __init__(self, gate):
        self._gate = gate

    def read(self):
        self._gate.wait()

    def close(self):
        pass


def nothing(*_):
    pass


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def model():
    return fake_model(FakeMethod(PERSON))


class TestPool:
    def test_each_source_has_all_its_results_in_order(self, model, listener):
        with TrackerPool(model, **listener.callbacks) as pool:
            names = [pool.add([FRAME] * 10, name) for name in ("door", "yard", "hall", "roof")]
            assert pool.wait(SECONDS)
            stats = pool.stats
        assert all(listener.results[name] == list(range(10)) for name in names)
        assert [stats[name].poses for name in names] == [10] * 4
        assert all(events == ["ended"] for events in listener.events.values())

    def test_a_dead_camera_and_a_blocked_one_disturb_nobody(self, model, listener):
        def dying():
            yield FRAME
            raise SourceError("The plug was pulled.")

        gate = threading.Event()
        pool = TrackerPool(model, **listener.callbacks)
        pool.add(BlockedSource(gate), "blocked")
        pool.add(dying(), "dying")
        pool.add([FRAME] * 20, "good")
        pool._members["good"].reader._thread.join(SECONDS)
        assert not pool.wait(0.01)
        pool.remove("blocked")
        assert pool.wait(SECONDS)
        pool.close()
        gate.set()
        assert listener.results["good"] == list(range(20))
        assert listener.results["dying"] == [0]
        (failure,) = listener.errors["dying"]
        assert isinstance(failure.error, SourceError)

    def test_a_camera_that_does_not_answer_holds_up_nobody_but_its_caller(
        self, model, listener, monkeypatch
    ):
        asked, answer = threading.Event(), threading.Event()

        def open_slowly(source, **_):
            if source == "rtsp://silent":
                asked.set()
                assert answer.wait(SECONDS)
                source = [FRAME]
            return open_source(source)

        monkeypatch.setattr("edgepose.pool.open_source", open_slowly)
        pool = TrackerPool(model, **listener.callbacks)
        refused = []

        def add():
            try:
                pool.add("rtsp://silent", "silent")
            except ClosedError as error:
                refused.append(error)

        adding = threading.Thread(target=add, daemon=True)
        adding.start()
        assert asked.wait(SECONDS)
        pool.add([FRAME] * 3, "good")
        assert pool.wait(SECONDS)
        assert pool.stats["good"].poses == 3
        pool.close()
        answer.set()
        adding.join(SECONDS)
        assert len(refused) == 1

    def test_a_source_for_which_there_is_no_thread_is_closed_and_not_waited_for(
        self, model, listener, monkeypatch
    ):
        source = open_source([FRAME])

        def refuse(_):
            raise RuntimeError("can't start new thread")

        with TrackerPool(model, **listener.callbacks) as pool:
            pool.add([FRAME], "good")
            assert pool.wait(SECONDS)
            monkeypatch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(EdgePoseError, match="can't start new thread"):
                pool.add(source, "bad")
            assert source.closed
            assert list(pool.stats) == ["good"]
            assert pool.wait(SECONDS)

    def test_a_source_that_is_added_while_the_pool_closes_is_closed_as_well(
        self, model, listener, monkeypatch
    ):
        gate = threading.Event()
        late = LiveSource("late camera", lambda: HangingCamera(gate))
        pool = TrackerPool(model, **listener.callbacks)
        close = pool._pipeline.close

        def add_before(*arguments, **options):
            pool.add(late)
            close(*arguments, **options)

        monkeypatch.setattr(pool._pipeline, "close", add_before)
        pool.close()
        assert late.closed
        gate.set()

    def test_sources_that_never_return_do_not_keep_the_pool_from_closing(self, model, listener):
        gate = threading.Event()
        pool = TrackerPool(model, **listener.callbacks)
        for _ in range(8):
            pool.add(BlockedSource(gate))
        closing = threading.Thread(target=pool.close, args=(0.01,), daemon=True)
        closing.start()
        closing.join(SECONDS)
        assert not closing.is_alive()
        assert all(stats.pending == 0 for stats in pool.stats.values())
        gate.set()

    def test_cameras_that_hang_are_not_waited_for_one_after_the_other(self, model, listener):
        gate = threading.Event()
        pool = TrackerPool(model, **listener.callbacks)
        patient = LiveSettings(close_timeout_s=10 * SECONDS)
        for number in range(4):
            camera = LiveSource(f"camera {number}", lambda: HangingCamera(gate), settings=patient)
            pool.add(camera)
        closing = threading.Thread(target=pool.close, args=(0.01,), daemon=True)
        closing.start()
        closing.join(SECONDS)
        assert not closing.is_alive()
        gate.set()

    def test_waiting_in_a_callback_is_refused(self, model, listener):
        callbacks = {**listener.callbacks, "on_result": lambda *_: pool.wait(SECONDS)}
        with TrackerPool(model, **callbacks) as pool:
            pool.add([FRAME], "yard")
            assert pool.wait(SECONDS)
        (failure,) = listener.errors["yard"]
        assert isinstance(failure.error, ConfigError)

    def test_without_on_error_the_failure_of_a_source_is_raised_by_close(self, model):
        def dying():
            yield FRAME
            raise SourceError("The plug was pulled.")

        pool = TrackerPool(model, on_result=nothing)
        pool.add(dying())
        assert pool.wait(SECONDS)
        with pytest.raises(SourceError, match="plug"):
            pool.close()

    def test_streams_are_as_if_each_was_alone(self, puppet_bundle, puppet):
        clips = [[puppet((120 + 4 * s + 9 * c, 120)) for s in range(6)] for c in range(3)]
        poses = defaultdict(list)
        options = {"num_threads": 1, "precision": "float32"}
        pool = TrackerPool(
            puppet_bundle.path,
            on_result=lambda name, result: poses[name].append(result.keypoints),
            batching=True,
            **options,
        )
        with pool:
            assert pool.batches
            names = [pool.add(clip) for clip in clips]
            assert pool.wait(SECONDS)
        for name, clip in zip(names, clips, strict=True):
            with PoseTracker(puppet_bundle.path, **options) as tracker:
                alone = [result.keypoints for result in tracker.stream(clip)]
            np.testing.assert_allclose(poses[name], alone, atol=1e-2)

    def test_it_measures_whether_batches_are_faster(self, puppet_bundle, monkeypatch):
        for gain, batches in ((1.5, True), (1.0, False)):
            monkeypatch.setattr(
                "edgepose.inference.shared_model.gain_of_batches", lambda *_, g=gain: g
            )
            with TrackerPool(puppet_bundle.path, on_result=print, num_threads=1) as pool:
                assert pool.batches is batches

    def test_options_that_contradict_each_other_fail_at_once(self, model):
        for options in ({"batching": True}, {"device": "cpu"}, {"policy": "x"}, {"deadline_ms": 0}):
            with pytest.raises(ConfigError, match=next(iter(options)).split("_")[0]):
                TrackerPool(model, on_result=print, **options)

    def test_names_are_taken_once_and_closing_is_final(self, model):
        pool = TrackerPool(model, on_result=nothing)
        with pytest.raises(SourceError):
            pool.add("/nowhere/to/be/found.mp4", "door")
        pool.add([FRAME], "door")
        with pytest.raises(ConfigError, match="door"):
            pool.add([FRAME], "door")
        with pytest.raises(ConfigError, match="yard"):
            pool.remove("yard")
        pool.close()
        pool.close()
        with pytest.raises(ClosedError):
            pool.add([FRAME], "yard")
        assert not [t for t in threading.enumerate() if t.name.startswith("edgepose-")]

    def test_a_number_that_is_somebodys_name_is_not_given_to_another_source(self, model):
        with TrackerPool(model, on_result=nothing) as pool:
            assert [pool.add([FRAME], name) for name in ("0", None, None)] == ["0", "1", "2"]

    def test_a_name_that_is_no_text_is_refused(self, model):
        with TrackerPool(model, on_result=nothing) as pool:
            with pytest.raises(ConfigError, match="got 5"):
                pool.add([FRAME], 5)
            assert "no sources" in repr(pool)

    def test_a_fork_while_a_source_is_added_leaves_no_call_hanging_in_the_child(
        self, model, monkeypatch
    ):
        own = os.getpid()
        with TrackerPool(model, on_result=nothing) as pool, ThreadPoolExecutor(1) as other:
            pool._lock.acquire()  # by a thread that does not go on in the child
            monkeypatch.setattr(os, "getpid", lambda: own + 1)
            for call in (lambda: pool.stats, lambda: pool.remove("door")):
                assert isinstance(other.submit(call).exception(SECONDS), ClosedError)
            assert "no sources" in other.submit(repr, pool).result(SECONDS)
            monkeypatch.undo()
            pool._lock.release()

    def test_sources_that_ended_are_kept_in_bounded_memory(self, model, listener, monkeypatch):
        monkeypatch.setattr("edgepose.pool.ENDED_KEPT", 3)
        with TrackerPool(model, **listener.callbacks) as pool:
            endless = pool.add(itertools.repeat(FRAME), "endless")
            for number in range(10):
                pool.add([FRAME], f"clip {number}")
                queue = pool._members[f"clip {number}"].queue
                with pool._scheduler.lifecycle.changed:
                    over = lambda: queue.is_over  # noqa: B023, E731
                    assert pool._scheduler.lifecycle.changed.wait_for(over, SECONDS)
            assert list(pool.stats) == [endless, "clip 6", "clip 7", "clip 8", "clip 9"]
            assert pool.stats["clip 9"].poses == 1
            pool.add([FRAME], "clip 0")  # the name is free again

    def test_a_removed_source_leaves_no_frame_without_an_end(self, model, listener):
        with TrackerPool(model, **listener.callbacks) as pool:
            pool.add((FRAME for _ in range(100_000)), "endless")
            recorder = pool._members["endless"].queue.recorder
            pool.remove("endless")
            assert pool.wait(SECONDS)
        stats = recorder.snapshot()
        assert stats.pending == 0
        assert stats.frames == stats.poses + sum(stats.drops.values())


def test_queues_take_turns_at_tracking_and_delivery():
    worked, delivered = [], []

    class Work:
        lag_frames = 0

        def __init__(self, name):
            self.name = name

        def run(self, frame):
            worked.append(self.name)
            stamp = frame.timestamp_ms
            return [PoseResult(frame.frame_id, stamp, None, "nobody", None, None, None, {}, PENN13)]

    pipeline = Pipeline(lambda queue, _: delivered.append(queue.name))
    for name, frames in (("first", 4), ("second", 4), ("third", 2)):
        queue = StreamQueue(Work(name), make_policy("every-frame"), StatsRecorder(), name)
        for _ in range(frames):
            queue.submit(FRAME, None)
        queue.end(None)
        pipeline.scheduler.add(queue)
    pipeline.start()
    assert pipeline.scheduler.wait_for_end(SECONDS)
    pipeline.close(SECONDS)
    assert worked == ["first", "second", "third"] * 2 + ["first", "second"] * 2
    assert sorted(delivered) == sorted([*worked, "first", "second", "third"])


def test_inferences_side_by_side_agree_with_single_ones(puppet_bundle, puppet):
    poses = []
    for concurrency in (1, 3):
        settings = BackendSettings(precision="float32", num_threads=1, concurrency=concurrency)
        with open_model(puppet_bundle.path, "openvino", settings) as model:
            poses.append(PoseTracker(model).track(puppet()).keypoints)
    np.testing.assert_allclose(*poses, atol=1e-3)


class TestBatching:
    def network(self, function):
        spec = TensorSpec("x", "float32", ("N", 2)), TensorSpec("y", "float32", ("N", 2))
        return FakeBackend(function, spec[:1], spec[1:]).load(b"", settings=BackendSettings())

    def ask(self, coordinator, networks):
        """Ask each network from a thread of its own, all participating; return what came."""
        answers: list[object] = [None] * len(networks)
        start = threading.Barrier(len(networks))

        def work(index, network):
            with coordinator.participating():
                start.wait(SECONDS)
                try:
                    x = np.full((1, 2), index, np.float32)
                    answers[index] = BatchingNetwork(network, coordinator).infer({"x": x})["y"]
                except InferenceError as error:
                    answers[index] = error

        threads = [
            threading.Thread(target=work, args=each, daemon=True) for each in enumerate(networks)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        return answers

    def test_who_asks_at_the_same_time_is_served_at_once_with_its_own_answer(self):
        sizes = []
        network = self.network(
            lambda feeds: (sizes.append(len(feeds["x"])), {"y": feeds["x"] * 2})[1]
        )
        answers = self.ask(BatchCoordinator(8), [network] * 4)
        assert sizes == [4]
        for index, answer in enumerate(answers):
            np.testing.assert_array_equal(answer, [[2 * index] * 2])

    def test_batches_are_no_larger_than_allowed(self):
        sizes = []
        network = self.network(lambda feeds: (sizes.append(len(feeds["x"])), {"y": feeds["x"]})[1])
        self.ask(BatchCoordinator(2), [network] * 5)
        assert sum(sizes) == 5
        assert max(sizes) <= 2

    def test_networks_are_not_mixed(self):
        double = self.network(lambda feeds: {"y": feeds["x"] * 2})
        triple = self.network(lambda feeds: {"y": feeds["x"] * 3})
        answers = self.ask(BatchCoordinator(8), [double, triple, double, triple])
        assert [answer[0, 0] for answer in answers] == [0, 3, 4, 9]

    def test_an_error_reaches_each_of_the_batch(self):
        def fail(feeds):
            raise InferenceError("broken")

        answers = self.ask(BatchCoordinator(8), [self.network(fail)] * 3)
        assert all(isinstance(answer, InferenceError) for answer in answers)

    def test_who_is_interrupted_while_it_waits_keeps_nobody_from_going_on(self, monkeypatch):
        coordinator, network = BatchCoordinator(8), self.network(lambda feeds: {"y": feeds["x"]})
        feeds = {"x": np.ones((1, 2), np.float32)}

        def interrupt(_predicate):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(coordinator._changed, "wait_for", interrupt)
            with pytest.raises(KeyboardInterrupt):
                coordinator.infer(network, feeds)
        assert not coordinator._calls
        np.testing.assert_array_equal(coordinator.infer(network, feeds)["y"], feeds["x"])

    def test_one_alone_does_not_wait_for_company(self):
        network = self.network(lambda feeds: {"y": feeds["x"]})
        x = np.ones((1, 2), np.float32)
        np.testing.assert_array_equal(
            BatchingNetwork(network, BatchCoordinator(8)).infer({"x": x})["y"], x
        )

    def test_the_gain_is_measured(self):
        network = self.network(lambda feeds: {"y": feeds["x"]})
        assert gain_of_batches(network, network, size=4, workers=2) > 0
