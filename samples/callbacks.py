"""Track a camera with callbacks while the program does something else. Press Enter to stop.

python samples/callbacks.py [CAMERA]
"""

import sys
import threading

import cv2

import edgepose


def on_result(result: edgepose.PoseResult) -> None:
    """Print the position of the right wrist."""
    wrist = result.joint("right_wrist")
    text = result.reason if wrist is None else f"x {wrist[0]:.0f}, y {wrist[1]:.0f}"
    print(f"{result.frame_id}: {text}")


def on_error(failure: edgepose.TrackingFailure) -> None:
    """Print an error; tracking continues."""
    print(f"Frame {failure.frame_id}: {failure.error}", file=sys.stderr)


def capture(camera: int, tracker: edgepose.PoseTracker, stop: threading.Event) -> None:
    """Submit frames until told to stop; with the policy "latest", submit() never blocks."""
    device = cv2.VideoCapture(camera)
    while not stop.is_set():
        ok, frame = device.read()
        if not ok:
            print(f"Camera {camera} delivers no frames.", file=sys.stderr)
            break
        tracker.submit(frame)
    device.release()


def main(camera: int) -> None:
    """Track until Enter is pressed."""
    stop = threading.Event()
    with edgepose.PoseTracker(
        policy="latest", deadline_ms=50.0, on_result=on_result, on_error=on_error
    ) as tracker:
        tracker.warmup()
        thread = threading.Thread(target=capture, args=(camera, tracker, stop))
        thread.start()
        input()
        stop.set()
        thread.join()
    stats = tracker.stats
    print(f"{stats.poses} poses in {stats.frames} frames, dropped: {stats.drops}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
