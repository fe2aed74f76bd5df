"""Many sources, one remote head, without any server: the test says what comes of the requests."""

from __future__ import annotations

import gc
import queue
import threading
import weakref
from collections import defaultdict
from concurrent.futures import Future

import numpy as np
import pytest

from edgepose import EventKind, RemoteHead, ServerSettings, TrackerPool
from edgepose.remote import SharedHeadConnection
from edgepose.remote import client as link
from edgepose.testing import FakeMethod, PropagatingFakeMethod, fake_model, standing_person
from edgepose_runtime.backends.triton import BreakerState
from edgepose_runtime.errors import ConfigError, ServerError, ServerFault

FRAME = np.full((240, 320, 3), 128, np.uint8)
PERSON = standing_person((160, 120), 120)
SECONDS = 60.0


class Server:
    """Stands in for the connection: it answers at once, or never."""

    def __init__(self, expected, settings, listener):
        self.settings = settings
        self.tell = listener
        self.state = BreakerState.CLOSED
        self.wants_probe = False
        self.answers = True
        self.requests: list[Future] = []
        self.closed = False
        (maps,) = expected.outputs
        self._maps = np.zeros((1, *maps.shape[1:]), np.float32)
        middle = maps.shape[-1] // 2
        self._maps[:, :, middle - 5 : middle + 5, middle - 5 : middle + 5] = 0.9

    def start(self, feeds):
        assert len(feeds["image"]) == 1
        self.requests.append(Future())
        if self.answers:
            self.requests[-1].set_result({"heatmaps": self._maps})
        return self.requests[-1]

    def close(self):
        self.closed = True


@pytest.fixture
def servers(monkeypatch):
    made = []

    def open_server(address, expected, settings, *, batch, listener):
        made.append(Server(expected, settings, listener))
        return made[-1]

    monkeypatch.setattr(link, "open_server", open_server)
    return made


@pytest.fixture
def model():
    return fake_model(PropagatingFakeMethod(PERSON))


class Gated:
    """Frames of a source, as many as the test lets through."""

    def __init__(self):
        self._frames = queue.SimpleQueue()

    def allow(self):
        self._frames.put(FRAME)

    def end(self):
        self._frames.put(None)

    def __iter__(self):
        while (frame := self._frames.get()) is not None:
            yield frame


class Listener:
    """Keeps the notifications, by source, and waits for it."""

    def __init__(self):
        self._changed = threading.Condition()
        self.results = defaultdict(list)
        self.events = defaultdict(list)

    def on_result(self, name, result):
        self._keep(self.results, name, result)

    def on_event(self, name, event):
        self._keep(self.events, name, event.kind)

    def wait_for(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, SECONDS)

    def _keep(self, where, name, what):
        with self._changed:
            where[name].append(what)
            self._changed.notify_all()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def new_pool(model, listener):
    def new(head="grpc://test", **options):
        callbacks = {"on_result": listener.on_result, "on_event": listener.on_event}
        return TrackerPool(model, head=head, **callbacks, **options)

    return new


def test_all_sources_ask_over_one_connection_and_count_apart(new_pool, servers, listener):
    with new_pool(reinitialise_every=2) as pool:
        names = [pool.add([FRAME] * frames) for frames in (4, 8, 12)]
        assert pool.wait(SECONDS)
        stats = pool.stats
    (server,) = servers
    assert [stats[name].head.requests for name in names] == [2, 4, 6]
    assert [stats[name].head.latency.count for name in names] == [2, 4, 6]
    assert len(server.requests) == 12
    for name in names:
        ages = [result.head_age_ms for result in listener.results[name]]
        assert ages[0] is None
        assert None not in ages[1:]


def test_each_source_is_told_when_the_server_goes_and_comes(new_pool, servers, listener):
    with new_pool() as pool:
        sources = {name: Gated() for name in ("door", "yard")}
        for name, source in sources.items():
            pool.add(source, name)
            source.allow()
            listener.wait_for(lambda name=name: listener.results[name])
        (server,) = servers
        server.tell(False, "It is gone.")
        late = sources["late"] = Gated()
        pool.add(late, "late")
        for source in sources.values():
            source.allow()
        listener.wait_for(lambda: all(listener.events[name] for name in sources))
        server.tell(True, "It is back.")
        for source in sources.values():
            source.allow()
        listener.wait_for(lambda: all(len(listener.events[name]) == 2 for name in sources))
        for source in sources.values():
            source.end()
        assert pool.wait(SECONDS)
        new = pool.add([FRAME], "new")
        assert pool.wait(SECONDS)
    there = [EventKind.HEAD_LOST, EventKind.HEAD_RECONNECTED, EventKind.ENDED]
    assert [listener.events[name] for name in sources] == [there] * 3
    assert listener.events[new] == [EventKind.ENDED]


def test_no_source_takes_the_room_of_the_others(new_pool, servers):
    head = RemoteHead("grpc://test", server=ServerSettings(in_flight=2))
    with new_pool(head, reinitialise_every=1) as pool:
        (server,) = servers
        server.answers = False
        names = [pool.add([FRAME] * 5, name) for name in ("door", "yard", "hall")]
        assert pool.wait(SECONDS)
        stats = [pool.stats[name].head for name in names]
        for request in server.requests:
            request.set_exception(ServerError("Too late.", ServerFault.TIMEOUT))
    assert server.settings.in_flight >= 6
    assert [(each.in_flight, each.failed) for each in stats] == [(2, {"overloaded": 3})] * 3


def test_room_is_free_again_when_an_answer_came(new_pool, servers):
    head = RemoteHead("grpc://test", server=ServerSettings(in_flight=1))
    with new_pool(head, reinitialise_every=1) as pool:
        name = pool.add([FRAME] * 5)
        assert pool.wait(SECONDS)
        stats = pool.stats[name].head
    assert (stats.requests, stats.latency.count, stats.failed) == (5, 5, {})


def test_a_stream_that_is_forgotten_leaves_nothing_in_the_connection(model, servers):
    with SharedHeadConnection(model, RemoteHead("grpc://test")) as shared:
        kept, gone = shared.new_connection(), weakref.ref(shared.new_connection())
        gc.collect()
        assert gone() is None
        servers[0].tell(False, "It is gone.")
        assert [event.kind for event in kept.take_events(0.0)] == [EventKind.HEAD_LOST]


def test_closing_the_pool_closes_the_connection_but_not_a_shared_model(new_pool, servers, model):
    pool = new_pool()
    assert not servers[0].closed
    pool.close()
    assert servers[0].closed
    with TrackerPool(model, on_result=lambda *_: None) as other:
        name = other.add([FRAME])
        assert other.wait(SECONDS)
        assert other.stats[name].poses == 1


def test_without_a_remote_head_there_are_no_counts_of_one(model):
    with TrackerPool(model, on_result=lambda *_: None) as pool:
        name = pool.add([FRAME])
        assert pool.wait(SECONDS)
        assert pool.stats[name].head is None


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        (PropagatingFakeMethod, {"head": "host:8001"}, "looks like grpc://host:8001"),
        (PropagatingFakeMethod, {"head": "grpc://h", "head_local": "always"}, "got 'always'"),
        (FakeMethod, {"head": "grpc://h"}, "with the graph 'propagate'; 'fake' cannot"),
    ],
)
def test_options_that_make_no_sense_are_refused(method, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        TrackerPool(fake_model(method(PERSON)), on_result=print, **options)
