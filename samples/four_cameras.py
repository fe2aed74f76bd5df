"""Track one person in front of each of several cameras with one model. Ctrl-C stops.

python samples/four_cameras.py rtsp://camera/1 rtsp://camera/2 rtsp://camera/3 rtsp://camera/4
"""

import sys
from collections import Counter

import edgepose

poses: Counter[str] = Counter()


def on_result(camera: str, result: edgepose.PoseResult) -> None:
    """Count poses; callbacks run one at a time, so no lock is needed."""
    poses[camera] += result.keypoints is not None


def on_event(camera: str, event: edgepose.StreamEvent) -> None:
    """Print that a camera was lost, is back, or ended."""
    print(f"{camera} is {event.kind}. {event.detail}")


def on_error(camera: str, failure: edgepose.TrackingFailure) -> None:
    """Print an error; the other cameras are not affected."""
    print(f"{camera}: {failure.error}", file=sys.stderr)


def main(sources: list[str]) -> None:
    """Track until every source has ended."""
    with edgepose.TrackerPool(
        "ppn-swift", num_threads=1, on_result=on_result, on_event=on_event, on_error=on_error
    ) as pool:
        for number, source in enumerate(sources, start=1):
            # Retry a camera that is switched off; the others are tracked in the meantime.
            live = edgepose.LiveSettings(retry_first=True)
            camera = edgepose.open_source(source, live=live)
            pool.add(camera, name=f"camera {number}")
        try:
            pool.wait()
        except KeyboardInterrupt:
            print("Stopping.")
        for name, stats in pool.stats.items():
            print(f"{name}: {poses[name]} poses, dropped: {dict(stats.drops)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python four_cameras.py SOURCE...")
    main(sys.argv[1:])
