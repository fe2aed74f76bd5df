"""Track the person in a network camera's stream.

python samples/rtsp.py rtsp://user:password@192.168.1.20/stream [POSES.csv]

The stream may break off and come back; tracking then starts over. Ctrl-C stops the program.
"""

import contextlib
import sys

import edgepose


def show_event(event: edgepose.StreamEvent) -> None:
    """Print what happened to the camera; the text contains no password."""
    print(f"{event.timestamp_ms / 1000:.1f} s: {event.kind} {event.detail}", flush=True)


def show(result: edgepose.PoseResult) -> None:
    """Print the position of the right wrist."""
    wrist = result.joint("right_wrist")
    text = result.reason if wrist is None else f"x {wrist[0]:.1f}, y {wrist[1]:.1f}"
    print(f"{result.frame_id}: {text}")


def main(address: str, csv_file: str | None) -> None:
    """Track until interrupted; print each pose or write it to a CSV file."""
    with contextlib.ExitStack() as stack:
        tracker = stack.enter_context(edgepose.PoseTracker("ppn-swift", on_event=show_event))
        tracker.warmup()
        write = show
        if csv_file is not None:
            write = stack.enter_context(edgepose.sinks.CsvSink(csv_file, skeleton=tracker.skeleton))
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
