"""Metrics for Prometheus, in its text format; needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgepose.preview.health import Health
from edgepose.preview.sources import BUCKETS, Histogram, SourceSnapshot, SourceState, SourceTable
from edgepose.preview.viewers import ViewerCounts
from edgepose.stats import TOTAL, HeadStats
from edgepose.utils.machine import installed
from edgepose_runtime.errors import BackendUnavailableError

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily, Metric

_HEAD_STATES = ("closed", "open", "half_open")


class Metrics:
    """Counts and times of all sources as a page that Prometheus reads.

    Labels are sources, stages, outcomes and states, whose number is bounded; never people.

    Args:
        sources: what the trackers reported.
        health: has their statistics, of which those of remote heads are shown.
        viewers: of the preview.

    Raises:
        BackendUnavailableError: the package ``prometheus_client`` is not installed.
    """

    def __init__(self, sources: SourceTable, health: Health, viewers: ViewerCounts) -> None:
        try:
            from prometheus_client import CollectorRegistry
        except ImportError:
            raise BackendUnavailableError(
                'Metrics need the package prometheus_client: pip install "edgepose[metrics]"'
            ) from None
        self._sources, self._health, self._viewers = sources, health, viewers
        # A registry of its own: nothing of the process, and nothing that others registered.
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """Return the page."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics: what a registry of ``prometheus_client`` asks for."""
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        snapshots = [monitor.snapshot() for monitor in self._sources.all()]
        yield InfoMetricFamily("edgepose_build", "Versions in use.", value=_versions())
        yield _frames(snapshots)
        yield _stages(snapshots)
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
        yield from (up, people)
        yield from self._heads()
        yield from _preview(self._viewers)

    def _heads(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        state = GaugeMetricFamily(
            "edgepose_head_state",
            "State of the remote head's circuit breaker: 1 for the one it is in; open is off.",
            labels=["source", "state"],
        )
        requests = CounterMetricFamily(
            "edgepose_head_requests",
            "Requests to the remote head by outcome.",
            labels=["source", "outcome"],
        )
        for name, stats in self._health.stats().items():
            if stats.head is None:
                continue
            source = self._sources.monitor(name).name
            for one in _HEAD_STATES:
                state.add_metric([source, one], float(stats.head.state == one))
            for outcome, count in _head_outcomes(stats.head).items():
                requests.add_metric([source, outcome], count)
        yield from (state, requests)


def _frames(snapshots: list[SourceSnapshot]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    frames = CounterMetricFamily(
        "edgepose_frames",
        "Frames by how they ended: pose, no_person, error, or the reason of a drop.",
        labels=["source", "outcome"],
    )
    for each in snapshots:
        for outcome, count in each.outcomes.items():
            frames.add_metric([each.name, outcome], count)
    return frames


def _stages(snapshots: list[SourceSnapshot]) -> HistogramMetricFamily:
    from prometheus_client.core import HistogramMetricFamily

    stages = HistogramMetricFamily(
        "edgepose_stage_seconds",
        f"Time of each stage of a frame; {TOTAL} is the whole call.",
        labels=["source", "stage"],
    )
    for each in snapshots:
        for stage, histogram in each.stages.items():
            stages.add_metric([each.name, stage], _buckets(histogram), histogram.total_s)
    return stages


def _preview(viewers: ViewerCounts) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

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


def _head_outcomes(head: HeadStats) -> dict[str, int]:
    return {"merged": head.merged, **head.dropped, **head.failed}


def _versions() -> dict[str, str]:
    others = {name: installed(name) or "" for name in ("openvino", "onnxruntime", "numpy")}
    return {"version": installed("edgepose") or "", **others}
