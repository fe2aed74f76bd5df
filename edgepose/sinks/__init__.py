"""Where results go: JSON Lines, CSV, Parquet, Rerun, overlay video, recordings of many sources."""

from edgepose.sinks.csv import CsvSink
from edgepose.sinks.jsonl import JsonlSink
from edgepose.sinks.overlay import OverlaySink
from edgepose.sinks.parquet import ParquetSink
from edgepose.sinks.recorder import Recorder, RecorderStats
from edgepose.sinks.rerun import RerunSink
from edgepose.sinks.video import VideoSink

__all__ = [
    "CsvSink",
    "JsonlSink",
    "OverlaySink",
    "ParquetSink",
    "Recorder",
    "RecorderStats",
    "RerunSink",
    "VideoSink",
]
