"""Where results go: JSON Lines and overlay video."""

from edgepose.sinks.jsonl import JsonlSink
from edgepose.sinks.video import VideoSink

__all__ = ["JsonlSink", "VideoSink"]
