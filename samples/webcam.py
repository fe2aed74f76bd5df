"""Track the person in front of a camera, live. Press q to stop.

python samples/webcam.py [CAMERA]
"""

import sys

import cv2

import edgepose


def main(camera: int) -> None:
    """Track until q is pressed or the camera ends."""
    capture = cv2.VideoCapture(camera)
    if not capture.isOpened():
        sys.exit(f"Camera {camera} cannot be opened.")
    with edgepose.PoseTracker("ppn-swift") as tracker:
        tracker.warmup()
        while True:
            read, frame = capture.read()
            if not read:
                break
            result = tracker.track(frame)
            cv2.imshow("edgepose", edgepose.draw_result(frame, result))
            if cv2.waitKey(1) == ord("q"):
                break
        print(f"Half of the frames took up to {tracker.stats.latency['total'].p50:.1f} ms.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
