"""Track a video with a heavy head on a server, whose late answers are merged into the track.

On the machine with the GPU, or on this one:   edgepose serve ppn-swift
Here:                                          python samples/remote_head.py walk.mp4 grpc://127.0.0.1:8001
"""

import sys

import edgepose


def show_event(event: edgepose.StreamEvent) -> None:
    """Say that the server is lost, or answers again."""
    print(f"{event.kind}: {event.detail}")


def main(path: str, address: str) -> None:
    """Print how each pose came about, and what became of the requests."""
    head = edgepose.RemoteHead(address, server=edgepose.ServerSettings(deadline_s=2.0))
    options = {"head": head, "reinitialise_every": 15, "on_event": show_event}
    with edgepose.PoseTracker(**options) as tracker:
        tracker.warmup()
        for result in tracker.stream(path):
            age = "no word of the head yet"
            if result.head_age_ms is not None:
                age = f"the head's word is {result.head_age_ms:.0f} ms old"
            print(f"frame {result.frame_id}: {result.origin or result.reason}, {age}")
        print(tracker.stats.head)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python remote_head.py VIDEO GRPC_ADDRESS")
    main(*sys.argv[1:])
