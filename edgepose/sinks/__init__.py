"""Where results go: JSON Lines, CSV and overlay video."""

from edgepose.sinks.csv import CsvSink
from edgepose.sinks.jsonl import JsonlSink
from edgepose.sinks.overlay import OverlaySink
from edgepose.sinks.video import VideoSink

__all__ = ["CsvSink", "JsonlSink", "OverlaySink", "VideoSink"]
