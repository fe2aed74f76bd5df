"""Track the person in front of a camera and show the pose live. Press q to stop.

python samples/webcam.py [CAMERA]

A thread reads the camera and only the newest frame is tracked, so a slow frame causes a skipped
frame and no delay. If the camera is unplugged, the program waits until it is back.
"""

import sys

import cv2

import edgepose


def show_event(event: edgepose.StreamEvent) -> None:
    """Print that the camera was lost or is back."""
    print(f"{event.kind}: {event.detail}")


def main(camera: int) -> None:
    """Track until q is pressed."""
    with edgepose.PoseTracker("ppn-swift", on_event=show_event) as tracker:
        tracker.warmup()
        for frame, result in tracker.stream(camera, with_frames=True):
            cv2.imshow("edgepose", edgepose.draw_result(frame, result))
            if cv2.waitKey(1) == ord("q"):
                break
        if "total" in tracker.stats.latency:
            print(f"Median latency: {tracker.stats.latency['total'].p50:.1f} ms.")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
