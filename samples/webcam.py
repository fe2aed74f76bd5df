"""Track the person in front of a camera, live. Press q to stop.

python samples/webcam.py [CAMERA]

The camera is read on a thread of its own: a slow frame makes the picture skip, not lag. When the
camera is unplugged the program waits for it to come back.
"""

import sys

import cv2

import edgepose
from edgepose_runtime.capture import StreamEvent, open_source


def show_event(event: StreamEvent) -> None:
    """Say that the camera was lost, or is back."""
    print(f"{event.kind}: {event.detail}")


def main(camera: int) -> None:
    """Track until q is pressed."""
    with (
        open_source(camera, on_event=show_event) as source,
        edgepose.PoseTracker("ppn-swift") as tracker,
    ):
        tracker.warmup()
        for frame in source:
            result = tracker.track(frame.image, timestamp_ms=frame.timestamp_ms)
            cv2.imshow("edgepose", edgepose.draw_result(frame.image, result))
            if cv2.waitKey(1) == ord("q"):
                break
        print(f"Half of the frames took up to {tracker.stats.latency['total'].p50:.1f} ms.")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
