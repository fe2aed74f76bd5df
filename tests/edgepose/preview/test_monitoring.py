"""Counts, states, health and metrics."""

import json
import re
import sys
from dataclasses import replace

import pytest

from edgepose.preview import Preview, PreviewSettings
from edgepose.preview.health import STUCK_AFTER_S, Health
from edgepose.preview.reports import Reporter
from edgepose.preview.sources import MOST_SOURCES, SourceMonitor, SourceState, SourceTable
from edgepose.results import DropReason, FrameDrop, TrackingFailure
from edgepose.stats import HeadStats, StatsRecorder
from edgepose_runtime.errors import ClosedError
from edgepose_runtime.events import EventKind, StreamEvent


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def event(kind):
    return StreamEvent(kind, 0.0, "why")


def test_the_state_follows_results_and_events(clock, make_result):
    monitor = SourceMonitor("door", clock)
    states = [monitor.snapshot().state]
    for step in (
        lambda: monitor.add_result(make_result()),
        lambda: setattr(clock, "now", 102.0),
        lambda: monitor.add_result(make_result()),
        lambda: monitor.add_event(event(EventKind.LOST)),
        lambda: monitor.add_result(make_result()),  # of a frame before
        lambda: monitor.add_event(event(EventKind.RECONNECTED)),
        lambda: monitor.add_event(event(EventKind.ENDED)),
        lambda: monitor.add_result(make_result()),  # of a frame before
        lambda: setattr(clock, "now", 110.0) or monitor.add_result(make_result()),
    ):
        step()
        states.append(monitor.snapshot().state)
    assert states == ["waiting", "up", "silent", "up", "lost", "lost", "up", "ended", "ended", "up"]


def test_an_error_in_a_callback_costs_no_frame(clock):
    monitor = SourceMonitor("door", clock)
    monitor.add_failure(TrackingFailure(ValueError("x"), 3, callback="on_result"))
    monitor.add_failure(TrackingFailure(ValueError("x")))
    monitor.add_failure(TrackingFailure(ValueError("x"), 4))
    assert monitor.snapshot().outcomes == {"error": 1}
    assert len(monitor.events) == 3


def test_the_number_of_sources_is_bounded(clock, make_result):
    table = SourceTable(clock)
    for number in range(MOST_SOURCES):
        table.monitor(str(number)).add_result(make_result())
    table.monitor("7").add_event(event(EventKind.ENDED))
    for number in range(5):
        table.monitor(f"new {number}").add_result(make_result())
    names = [monitor.name for monitor in table.all()]
    assert len(names) == MOST_SOURCES
    assert "7" not in names
    assert "new 4" in names
    assert "99" in names
    assert table.monitor("7").snapshot().state is SourceState.WAITING


def test_reports_tell_what_changed(clock, make_result):
    table = SourceTable(clock)
    reporter = Reporter(table, clock)
    for number in range(4):
        stages = (
            {"head": 12.0, "network": 2.0, "total": 14.0}
            if not number
            else {"network": 2.0, "total": 2.0}
        )
        table.monitor("door").add_result(make_result(number, **stages))
    clock.now += 0.5
    (first,) = reporter.tick()["sources"]
    assert first["fps"] == 8.0
    assert first["stages"] == {"head": 3.0, "network": 2.0, "total": 5.0}
    clock.now += 0.5
    (second,) = reporter.tick()["sources"]
    assert (second["fps"], second["stages"], second["frames"]) == (0.0, {}, 4)
    assert reporter.history()["ticks"] == [{"door": first["stages"]}, {"door": {}}]


def stats(pending=0, done=0, head=None):
    recorder = StatsRecorder()
    for _ in range(pending + done):
        recorder.add_frame()
    for _ in range(done):
        recorder.add_drop(DropReason.STALE)
    return replace(recorder.snapshot(), head=head)


def test_work_that_does_not_move_is_stuck_and_idleness_is_not(clock):
    health = Health(clock)
    current = {"door": stats(done=5)}
    health.watch(lambda: current)
    assert health.is_alive()
    clock.now += 1000  # a camera that is off
    assert health.is_alive()
    current["door"] = stats(pending=1, done=5)
    assert health.is_alive()
    clock.now += STUCK_AFTER_S - 1
    assert health.is_alive()
    clock.now += 2
    assert not health.is_alive()
    current["door"] = stats(pending=1, done=6)
    assert health.is_alive()


def test_closed_trackers_are_no_error(clock):
    health = Health(clock)

    def closed():
        raise ClosedError("closed")

    health.watch(closed)
    assert health.is_alive()
    assert not health.is_ready(SourceTable(clock))


def test_ready_is_whoever_has_a_source_that_delivers(preview, client, frame, make_result):
    assert client.get("/readyz").status == 503
    preview.write(frame, make_result())
    assert client.get("/readyz").status == 200
    preview.on_event("camera", event(EventKind.LOST))
    assert client.get("/readyz").status == 503


def samples(client):
    parser = pytest.importorskip("prometheus_client.parser", reason="needs prometheus-client")
    page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(parser.text_string_to_metric_families(page.body.decode()))
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_frames_times_and_people(preview, client, frame, make_result):
    preview.write(frame, make_result(0, network=3.0, total=40.0), "door")
    preview.write(frame, make_result(1, network=3.0, total=4.0), "door")
    preview.write(frame, make_result(2, person=False), "yard")
    preview.on_drop("door", FrameDrop(2, 0.0, DropReason.SUPERSEDED))
    preview.on_event("yard", event(EventKind.LOST))
    found = samples(client)
    door, yard = ("source", "door"), ("source", "yard")
    assert found["edgepose_frames_total", ("outcome", "pose"), door] == 2
    assert found["edgepose_frames_total", ("outcome", "superseded"), door] == 1
    assert found["edgepose_frames_total", ("outcome", "no_person"), yard] == 1
    assert (found["edgepose_source_up", door], found["edgepose_source_up", yard]) == (1, 0)
    assert (found["edgepose_people", door], found["edgepose_people", yard]) == (1, 0)
    total = ("stage", "total")
    assert found["edgepose_stage_seconds_count", door, total] == 2
    assert found["edgepose_stage_seconds_sum", door, total] == pytest.approx(0.044)
    assert found["edgepose_stage_seconds_bucket", ("le", "0.005"), door, total] == 1
    assert found["edgepose_stage_seconds_bucket", ("le", "+Inf"), door, total] == 2
    assert any(name[0] == "edgepose_build_info" for name in found)
    assert {label for name in found for label, _ in name[1:]}.isdisjoint({"person", "person_id"})


def test_metrics_tell_the_state_of_the_remote_head(preview, client, frame, make_result):
    head = HeadStats("open", 5, 2, {"too_late": 1}, {"timeout": 2}, 0, None, None)

    class Tracker:
        stats = stats(done=1, head=head)

    preview.watch(Tracker(), "door")
    found = samples(client)
    door = ("source", "door")
    states = {
        state: found["edgepose_head_state", door, ("state", state)]
        for state in ("open", "closed", "half_open")
    }
    assert states == {"open": 1, "closed": 0, "half_open": 0}
    assert found["edgepose_head_requests_total", ("outcome", "too_late"), door] == 1
    assert found["edgepose_head_requests_total", ("outcome", "merged"), door] == 2


def test_names_of_sources_cannot_break_the_page_of_metrics(preview, client, frame, make_result):
    preview.write(frame, make_result(), 'a"b\\c\nd{}')
    assert ("edgepose_source_up", ("source", 'a"b\\c\\nd{}')) in samples(client)


def test_without_the_extra_metrics_name_it(preview, client, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "edgepose.preview.metrics", raising=False)
    with Preview(PreviewSettings(port=0)) as other:
        answer = type(client)(other).get("/metrics")
    assert answer.status == 501
    assert b'pip install "edgepose[metrics]"' in answer.body


def test_the_dashboard_asks_for_metrics_that_exist(
    preview, client, frame, make_result, project_root
):
    preview.write(frame, make_result(), "door")
    head = HeadStats("open", 0, 0, {}, {}, 0, None, None)
    preview.watch(type("Tracker", (), {"stats": stats(head=head)}), "door")
    found = samples(client)
    board = json.loads((project_root / "deploy" / "grafana.json").read_text("utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = set(re.findall(r"edgepose_\w+", " ".join(asked)))
    assert len(names) >= 6
    assert names <= {name[0] for name in found}
    labels = {label for name in found for label, _ in name[1:]}
    used = re.findall(r"(\w+)(?:=~|!~|=)\"", " ".join(asked))
    assert set(used) <= labels
