"""Track the person in a video and print where the right wrist is.

python samples/track_file.py samples/clips/balance.mp4
"""

import sys

import cv2

import edgepose


def main(path: str) -> None:
    """Track every frame of a video."""
    video = cv2.VideoCapture(path)
    if not video.isOpened():
        sys.exit(f"{path} is missing or not a video.")
    with edgepose.PoseTracker("ppn-swift") as tracker:
        while True:
            read, frame = video.read()
            if not read:
                break
            result = tracker.track(frame, timestamp_ms=video.get(cv2.CAP_PROP_POS_MSEC))
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
