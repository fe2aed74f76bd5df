"""Track a video with a larger network on a server, whose late answers are merged into the track.

On the machine with the GPU, or on this one:   edgepose serve ppn-swift
Here:                                          python samples/remote_head.py walk.mp4 grpc://127.0.0.1:8001
"""

import sys

import edgepose


def show_event(event: edgepose.StreamEvent) -> None:
    """Print that the server was lost or answers again."""
    print(f"{event.kind}: {event.detail}")


def main(path: str, address: str) -> None:
    """Print the origin of each pose and statistics of the requests."""
    head = edgepose.RemoteHead(address, server=edgepose.ServerSettings(deadline_s=2.0))
    with edgepose.PoseTracker(head=head, reinitialise_every=15, on_event=show_event) as tracker:
        tracker.warmup()
        for result in tracker.stream(path):
            age = "no server answer yet"
            if result.head_age_ms is not None:
                age = f"server answer from {result.head_age_ms:.0f} ms ago"
            print(f"frame {result.frame_id}: {result.origin or result.reason}, {age}")
        print(tracker.stats.head)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python remote_head.py VIDEO GRPC_ADDRESS")
    main(*sys.argv[1:])
