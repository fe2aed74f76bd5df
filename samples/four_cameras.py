"""Track the person in front of each of several cameras, on one set of networks. Ctrl-C to stop.

python samples/four_cameras.py rtsp://camera/1 rtsp://camera/2 rtsp://camera/3 rtsp://camera/4
"""

import sys
from collections import Counter

import edgepose
from edgepose_runtime.capture import LiveSettings, open_source

poses: Counter[str] = Counter()


def on_result(camera: str, result: edgepose.PoseResult) -> None:
    """Count poses; callbacks come one at a time, so that nothing needs a lock."""
    poses[camera] += result.keypoints is not None


def on_event(camera: str, event: edgepose.StreamEvent) -> None:
    """Say when a camera is lost, back, or at its end."""
    print(f"{camera} is {event.kind}. {event.detail}")


def on_error(camera: str, failure: edgepose.TrackingFailure) -> None:
    """Report an error; the other cameras go on."""
    print(f"{camera}: {failure.error}", file=sys.stderr)


def main(sources: list[str]) -> None:
    """Track until every source has ended."""
    callbacks = {"on_result": on_result, "on_event": on_event, "on_error": on_error}
    with edgepose.TrackerPool("ppn-swift", num_threads=1, **callbacks) as pool:
        for number, source in enumerate(sources, start=1):
            # A camera that is off is waited for, and the others are tracked meanwhile.
            camera = open_source(source, live=LiveSettings(retry_first=True))
            pool.add(camera, name=f"camera {number}")
        try:
            pool.wait()
        except KeyboardInterrupt:
            print("Stopping.")
        for camera, stats in pool.stats.items():
            print(f"{camera}: {poses[camera]} poses, dropped: {dict(stats.drops)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python four_cameras.py SOURCE...")
    main(sys.argv[1:])
