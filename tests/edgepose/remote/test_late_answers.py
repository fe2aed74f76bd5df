"""Answers that come late, without any server: the test decides when, and what they say."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from edgepose import PoseTracker, RemoteHead
from edgepose.inference.model import PoseModel
from edgepose.remote import client as link
from edgepose.remote.recorder import HeadRecorder
from edgepose.results import Origin
from edgepose.stats import LateReason
from edgepose.testing import FakeMethod, PropagatingFakeMethod, fake_model, standing_person
from edgepose_runtime.backends.triton import BreakerState
from edgepose_runtime.errors import ConfigError, InferenceError, ServerError, ServerFault
from edgepose_runtime.events import EventKind

FRAME = np.full((240, 320, 3), 128, np.uint8)
HERE = standing_person((160, 120), 120)
# What the heavy head sees: the same person with a knee elsewhere, further than a cell or two.
BETTER = HERE.copy()
BETTER[9, :2] += (10, -6)


class ManualServer:
    """Stands in for the connection: the test answers."""

    def __init__(self, listener):
        self.tell = listener
        self.state = BreakerState.CLOSED
        self.wants_probe = False
        self.requests: list[Future] = []
        self.full = False
        self.closed = False

    def start(self, feeds):
        if self.full:
            raise ServerError("There is no room.", ServerFault.OVERLOADED)
        assert feeds["image"].shape == (1, 256, 256, 3)
        self.requests.append(Future())
        return self.requests[-1]

    def close(self):
        self.closed = True


@pytest.fixture
def method():
    return PropagatingFakeMethod(HERE)


@pytest.fixture
def server(monkeypatch):
    made = []

    def open_server(address, expected, settings, *, batch, listener):
        made.append(ManualServer(listener))
        return made[0]

    monkeypatch.setattr(link, "open_server", open_server)
    return made


@pytest.fixture
def new_tracker(method, server):
    trackers = []

    def new(head="grpc://test", **options):
        tracker = PoseTracker(fake_model(method), head=head, smoothing=False, **options)
        trackers.append(tracker)
        return tracker, server[0]

    yield new
    for tracker in trackers:
        stats = tracker.stats.head
        ended = stats.merged + sum(stats.dropped.values()) + sum(stats.failed.values())
        assert stats.requests == ended + stats.in_flight
        tracker.close()


def track(tracker, frames=1):
    """Track some frames, 40 ms apart; return the last result."""
    for _ in range(frames):
        track.now += 40.0
        result = tracker.track(FRAME, timestamp_ms=track.now)
    return result


track.now = 0.0


def answer(method, request, person=BETTER, roi=None):
    """Say what a head would that sees ``person`` in the region of the last start."""
    seen, method.person = method.person, person
    starts = [call.roi for call in method.calls if call.kind in ("begin", "initialise")]
    heatmaps = method.heatmaps(roi or starts[-1])
    method.person = seen
    request.set_result({"heatmaps": heatmaps[None]})


def test_the_light_network_starts_at_once(new_tracker, method):
    tracker, server = new_tracker()
    result = track(tracker)
    assert result.keypoints is not None
    assert result.head_age_ms is None
    assert method.count("begin") == 1
    assert method.count("initialise") == 0
    assert len(server.requests) == 1


def test_an_answer_is_merged_into_the_next_frame(new_tracker, method):
    tracker, server = new_tracker()
    before = track(tracker)
    answer(method, server.requests[0])
    after = track(tracker)
    assert np.linalg.norm(before.joint("right_knee")[:2] - HERE[9, :2]) < 1
    assert np.linalg.norm(after.joint("right_knee")[:2] - BETTER[9, :2]) < 2
    assert after.head_age_ms == 40.0
    assert after.key_frame_age == 1
    assert after.origin is Origin.PROPAGATED
    assert tracker.stats.head.merged == 1
    assert tracker.stats.head.latency.count == 1


def test_a_late_answer_is_carried_through_the_frames_since(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker, 6)
    answer(method, server.requests[0])
    result = track(tracker)
    assert result.joint("right_knee")[0] > HERE[9, 0] + 0.5
    assert result.head_age_ms == 240.0
    assert result.key_frame_age == 6
    assert tracker.stats.head.frames_late == 5


def test_an_answer_that_catches_up_during_a_step_is_carried_through_its_frame(
    new_tracker, method, monkeypatch
):
    tracker, server = new_tracker()
    track(tracker)
    advance, propagate, carried = method.advance, method.propagate, []

    def answered_meanwhile(*arguments):
        if not server.requests[0].done():
            answer(method, server.requests[0])
        return advance(*arguments)

    def counted(*arguments, **options):
        carried.append(arguments)
        return propagate(*arguments, **options)

    monkeypatch.setattr(method, "advance", answered_meanwhile)
    monkeypatch.setattr(method, "propagate", counted)
    assert track(tracker).head_age_ms is None
    assert len(carried) == 1  # into the frame that was asked about
    assert track(tracker).head_age_ms == 80.0
    assert len(carried) == 2  # and into that which was in work


def test_a_merged_answer_is_trusted_for_a_while(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker)
    answer(method, server.requests[0])
    soon, late = track(tracker, 4), track(tracker, 100)
    differs = [abs(float(each.joint("right_knee")[0] - HERE[9, 0])) for each in (soon, late)]
    assert differs[0] > 1
    assert differs[1] < 0.5


def test_an_answer_to_a_frame_that_is_forgotten_is_dropped(new_tracker, method):
    tracker, server = new_tracker(RemoteHead("grpc://test", remembered=3))
    track(tracker, 4)
    answer(method, server.requests[0])
    assert track(tracker).head_age_ms is None
    assert tracker.stats.head.dropped == {"too_late": 1}


def test_an_answer_about_somebody_who_was_lost_is_dropped(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker, 2)
    method.person = None
    assert track(tracker, 10).keypoints is None
    method.person = HERE
    assert track(tracker, 20).keypoints is not None
    assert len(server.requests) >= 2  # after the loss it is asked again
    answer(method, server.requests[0])
    assert tracker.stats.head.dropped == {"track_ended": 1}


def test_an_answer_older_than_a_merged_one_is_dropped(new_tracker, method):
    tracker, server = new_tracker(reinitialise_every=2)
    track(tracker, 3)
    first, second = server.requests
    answer(method, second)
    answer(method, first)
    assert track(tracker).head_age_ms == 40.0
    assert tracker.stats.head.dropped == {"superseded": 1}
    assert tracker.stats.head.merged == 1


def test_an_answer_that_shows_nobody_is_dropped(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker)
    roi = method.calls[-1].roi
    method.person = standing_person((160, 120), 120, score=0.35)  # hardly a person
    track(tracker, 8)
    answer(method, server.requests[0], None, roi=roi)
    assert tracker.stats.head.dropped == {"unsupported": 1}


def test_doubtful_joints_are_asked_about_but_not_all_the_time(new_tracker, method):
    tracker, server = new_tracker(RemoteHead("grpc://test", shortest_gap=5))
    method.person = HERE.copy()
    method.person[:6, 2] = 0.1
    track(tracker, 12)
    assert len(server.requests) == 3  # the first frame, and two with a gap


def test_every_so_many_frames_it_is_asked(new_tracker):
    tracker, server = new_tracker(reinitialise_every=4)
    track(tracker, 12)
    assert len(server.requests) == 3


def test_without_an_interval_a_good_track_is_not_asked_about(new_tracker):
    tracker, server = new_tracker()
    track(tracker, 50)
    assert len(server.requests) == 1


def test_the_own_head_steps_in_when_a_request_failed(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker)
    server.requests[0].set_exception(ServerError("Nobody is there.", ServerFault.UNREACHABLE))
    result = track(tracker)
    assert result.origin is Origin.INITIALISED
    assert result.head_age_ms == 0.0
    assert method.count("initialise") == 1
    assert track(tracker, 30).origin is Origin.PROPAGATED
    assert tracker.stats.head.failed == {"unreachable": 1}


def test_the_own_head_stays_out_once_the_server_answers_again(new_tracker, method):
    tracker, server = new_tracker(reinitialise_every=5)
    track(tracker)
    server.requests[0].set_exception(ServerError("It took too long.", ServerFault.TIMEOUT))
    track(tracker, 7)
    assert method.count("initialise") == 2
    answer(method, server.requests[-1])
    track(tracker, 8)  # the answer about the latest request is on its way
    assert method.count("initialise") == 2


def test_the_own_head_never_runs_if_it_shall_not(new_tracker, method):
    tracker, server = new_tracker(head_local="never", reinitialise_every=5)
    server.state = BreakerState.OPEN
    track(tracker, 20)
    assert method.count("initialise") == 0


def test_while_the_server_is_away_the_own_head_keeps_the_interval(new_tracker, method):
    tracker, server = new_tracker(reinitialise_every=5)
    server.state = BreakerState.OPEN
    server.full = True
    track(tracker, 15)
    assert method.count("initialise") == 3
    assert method.count("begin") == 0


def test_the_server_is_probed_on_any_frame(new_tracker):
    tracker, server = new_tracker()
    track(tracker, 3)
    server.wants_probe = True
    track(tracker)
    assert len(server.requests) == 2


def test_a_full_queue_costs_one_request_and_nothing_else(new_tracker, method):
    tracker, server = new_tracker(reinitialise_every=2)
    server.full = True
    assert track(tracker, 6).keypoints is not None
    assert tracker.stats.head.failed == {"overloaded": 3}
    assert method.count("initialise") == 0


def test_an_answer_that_cannot_be_carried_is_dropped(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker)
    method.error = InferenceError("The network is gone.")
    answer(method, server.requests[0])
    method.error = None
    assert track(tracker).head_age_ms is None
    assert tracker.stats.head.dropped == {"failed": 1}


def test_events_of_the_server_are_told_with_the_next_frame(new_tracker):
    events = []
    tracker, server = new_tracker(on_event=events.append)
    track(tracker)
    server.tell(False, "It is gone.")
    server.tell(True, "It is back.")
    assert not events
    track(tracker)
    assert [event.kind for event in events] == [EventKind.HEAD_LOST, EventKind.HEAD_RECONNECTED]
    assert events[0].detail == "It is gone."
    assert events[0].timestamp_ms == track.now


def test_who_is_told_of_an_event_may_call_the_tracker(new_tracker):
    notified = threading.Event()
    tracker, server = new_tracker(on_event=lambda _: (tracker.reset(), notified.set()))
    server.tell(False, "It is gone.")
    thread = threading.Thread(target=track, args=(tracker,), daemon=True)
    thread.start()
    assert notified.wait(20)
    thread.join()


def test_events_of_the_server_do_not_begin_a_new_track(new_tracker, method):
    events = []
    results = []
    tracker, server = new_tracker(on_event=events.append, on_result=results.append)
    tracker.submit(FRAME, 0.0)
    tracker.flush()
    server.tell(False, "It is gone.")
    for step in range(1, 4):
        tracker.submit(FRAME, 40.0 * step)
        tracker.flush()
    assert [event.kind for event in events] == [EventKind.HEAD_LOST]
    assert [str(result.origin) for result in results] == ["initialised"] + ["propagated"] * 3


def test_reset_forgets_answers_that_are_still_to_come(new_tracker, method):
    tracker, server = new_tracker()
    track(tracker)
    tracker.reset()
    track(tracker)
    answer(method, server.requests[0])
    assert track(tracker).head_age_ms is None
    stats = tracker.stats.head
    assert (stats.requests, stats.merged, stats.dropped) == (1, 0, {})


def test_closing_the_tracker_closes_the_connection(new_tracker):
    tracker, server = new_tracker()
    tracker.close()
    assert server.closed


def test_warm_up_asks_nobody(new_tracker):
    tracker, server = new_tracker()
    tracker.warmup()
    assert not server.requests


def test_a_tracker_without_a_head_elsewhere_says_nothing_of_one(method):
    with PoseTracker(fake_model(method)) as tracker:
        assert track(tracker).head_age_ms is None
        assert tracker.stats.head is None


def test_a_method_that_cannot_carry_is_refused():
    with pytest.raises(ConfigError, match="with the graph 'propagate'; 'fake' cannot"):
        PoseTracker(fake_model(FakeMethod()), head="grpc://test")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"head": "host:8001"}, "looks like grpc://host:8001"),
        ({"head": 8001}, "must be an address such as .* got 8001"),
        ({"head": "grpc://h", "head_local": "always"}, "'fallback' or 'never'; got 'always'"),
    ],
)
def test_options_that_make_no_sense_are_refused(method, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        PoseTracker(fake_model(method), **options)


@pytest.mark.parametrize("wrong", [{"remembered": 0}, {"shortest_gap": 0}, {"least_trusted": 2}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RemoteHead("grpc://h", **wrong)


def test_requests_from_before_a_reset_are_not_counted():
    recorder = HeadRecorder()
    era = recorder.add_request()
    recorder.reset()
    recorder.add_dropped(era, LateReason.TOO_LATE)
    recorder.add_merged(era, 1)
    recorder.add_failed(era, "timeout")
    recorder.add_answer(era, 1.0)
    stats = recorder.snapshot("closed")
    assert (stats.requests, stats.in_flight, stats.latency) == (0, 0, None)


def test_what_the_server_must_have_follows_from_the_bundle(monkeypatch):
    wanted = []

    def open_server(address, expected, settings, **options):
        wanted.append(expected)
        return ManualServer(None)

    monkeypatch.setattr(link, "open_server", open_server)
    with PoseTracker("ppn-swift", head="grpc://h") as tracker:
        manifest = tracker.model.manifest
    with PoseTracker("ppn-swift", head="grpc://h/hrnet"):
        pass
    own, other = wanted
    assert own.name == "ppn-swift-head"
    assert own.sha256 == manifest.graphs["head"].sha256
    assert set(own.outputs) == set(manifest.graphs["head"].outputs)
    assert own.facts["edgepose.skeleton"] == "penn13"
    assert (other.name, other.sha256) == ("hrnet", None)
    assert isinstance(tracker.model, PoseModel)
