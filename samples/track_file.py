"""Track the person in a video frame by frame and print the right wrist.

python samples/track_file.py samples/clips/balance.mp4
"""

import sys

import cv2

import edgepose


def main(path: str) -> None:
    """Track every frame of a video."""
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        sys.exit(f"{path} is missing or not a video.")
    with edgepose.PoseTracker("ppn-swift") as tracker:
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            timestamp_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
            result = tracker.track(frame, timestamp_ms=timestamp_ms)
            wrist = result.joint("right_wrist")
            if wrist is None:
                print(f"{result.frame_id}: {result.reason}")
            else:
                x, y, score = wrist
                print(f"{result.frame_id}: x {x:.1f}, y {y:.1f}, score {score:.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python track_file.py VIDEO")
    main(sys.argv[1])
