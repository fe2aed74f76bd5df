"""Metrics for Prometheus, in its text format; importing this needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from edgepose.preview.health import Health
from edgepose.preview.sources import BUCKETS, Histogram, SourceSnapshot, SourceState, SourceTable
from edgepose.preview.viewers import ViewerCounts
from edgepose.stats import TOTAL, HeadStats
from edgepose.utils.machine import installed
from edgepose_runtime.backends.triton.breaker import BreakerState


def render_metrics(sources: SourceTable, health: Health, viewers: ViewerCounts) -> bytes:
    """Return counts and times of all sources as a page that Prometheus reads.

    Labels are sources, stages, outcomes and states, whose number is bounded; never people.

    Args:
        sources: what the trackers reported.
        health: has their statistics, of which those of remote heads are shown.
        viewers: of the preview.
    """
    # A registry of its own: nothing of the process, and nothing that others registered.
    registry = CollectorRegistry()
    registry.register(_Collector(sources, health, viewers))
    return generate_latest(registry)


class _Collector:
    """What a registry of ``prometheus_client`` asks for metrics."""

    def __init__(self, sources: SourceTable, health: Health, viewers: ViewerCounts) -> None:
        self._sources, self._health, self._viewers = sources, health, viewers

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        snapshots = self._sources.snapshots()
        yield InfoMetricFamily("edgepose_build", "Versions in use.", value=_versions())
        yield _frames(snapshots)
        yield _stages(snapshots)
        yield from _sources(snapshots)
        heads = {
            self._sources.monitor(name).name: stats.head
            for name, stats in self._health.stats().items()
            if stats.head is not None
        }
        yield from _heads(heads)
        yield from _preview(self._viewers)


def _frames(snapshots: list[SourceSnapshot]) -> Metric:
    frames = CounterMetricFamily(
        "edgepose_frames",
        "Frames by how they ended: pose, no_person, error, or the reason of a drop.",
        labels=["source", "outcome"],
    )
    for each in snapshots:
        for outcome, count in each.outcomes.items():
            frames.add_metric([each.name, outcome], count)
    return frames


def _stages(snapshots: list[SourceSnapshot]) -> Metric:
    stages = HistogramMetricFamily(
        "edgepose_stage_seconds",
        f"Time of each stage of a frame; {TOTAL} is the whole call.",
        labels=["source", "stage"],
    )
    for each in snapshots:
        for stage, histogram in each.stages.items():
            stages.add_metric([each.name, stage], _buckets(histogram), histogram.total_s)
    return stages


def _sources(snapshots: list[SourceSnapshot]) -> tuple[Metric, Metric]:
    up = GaugeMetricFamily(
        "edgepose_source_up", "Whether frames of the source come.", labels=["source"]
    )
    people = GaugeMetricFamily(
        "edgepose_people", "People in the latest frame of the source.", labels=["source"]
    )
    for each in snapshots:
        is_up = each.state is SourceState.UP
        up.add_metric([each.name], float(is_up))
        people.add_metric([each.name], len(each.identities) if is_up else 0)
    return up, people


def _heads(heads: Mapping[str, HeadStats]) -> tuple[Metric, Metric]:
    states = GaugeMetricFamily(
        "edgepose_head_state",
        "State of the remote head's circuit breaker: 1 for the one it is in; open is off.",
        labels=["source", "state"],
    )
    requests = CounterMetricFamily(
        "edgepose_head_requests",
        "Requests to the remote head by outcome.",
        labels=["source", "outcome"],
    )
    for source, head in heads.items():
        for state in BreakerState:
            states.add_metric([source, state.value], float(head.state == state.value))
        for outcome, count in {"merged": head.merged, **head.dropped, **head.failed}.items():
            requests.add_metric([source, outcome], count)
    return states, requests


def _preview(viewers: ViewerCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "edgepose_preview_viewers", "Open picture and event streams.", value=viewers.open
    )
    yield CounterMetricFamily(
        "edgepose_preview_viewers_dropped", "Viewers that were too slow.", value=viewers.dropped
    )
    yield CounterMetricFamily(
        "edgepose_preview_refused",
        "Connections and viewers beyond the limit.",
        value=viewers.refused,
    )


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
    return [(bound, float(count)) for bound, count in zip(bounds, histogram.counts, strict=True)]


def _versions() -> dict[str, str]:
    others = {name: installed(name) or "" for name in ("openvino", "onnxruntime", "numpy")}
    return {"version": installed("edgepose") or "", **others}
