"""Track the person in a network camera's stream, for as long as it takes.

python samples/rtsp.py rtsp://user:password@192.168.1.20/stream [POSES.csv]

The camera may go away and come back: tracking starts afresh then. Ctrl-C stops.
"""

import contextlib
import sys

import edgepose
from edgepose.sinks import CsvSink
from edgepose_runtime.capture import StreamEvent


def show_event(event: StreamEvent) -> None:
    """Say what happened to the camera; the text has no password in it."""
    print(f"{event.timestamp_ms / 1000:.1f} s: {event.kind} {event.detail}", flush=True)


def show(result: edgepose.PoseResult) -> None:
    """Print where the right wrist is."""
    wrist = result.joint("right_wrist")
    where = result.reason if wrist is None else f"x {wrist[0]:.1f}, y {wrist[1]:.1f}"
    print(f"{result.frame_id}: {where}")


def main(address: str, table: str | None) -> None:
    """Track until interrupted, and write each pose where asked to."""
    with contextlib.ExitStack() as opened:
        tracker = opened.enter_context(edgepose.PoseTracker("ppn-swift", on_event=show_event))
        tracker.warmup()
        write = show
        if table is not None:
            write = opened.enter_context(CsvSink(table, skeleton=tracker.skeleton)).write
        with contextlib.suppress(KeyboardInterrupt):
            for result in tracker.stream(address):
                write(result)
        stats = tracker.stats
        print(f"A person in {stats.poses} of {stats.frames} frames; dropped: {dict(stats.drops)}.")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python rtsp.py ADDRESS [POSES.csv]")
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
