"""Write one video of a person tracked without (left) and with thin-slicing (right).

python samples/refine_side_by_side.py samples/clips/balance.mp4 side_by_side.mp4
"""

import sys
from collections.abc import Iterator

import cv2
import numpy as np

import edgepose


def main(source: str, target: str) -> None:
    """Track a video twice and put the overlays side by side."""
    plain = edgepose.PoseTracker("ppn-swift", smoothing=False)
    refine = edgepose.ThinSlicing(lag_frames=2)
    refined = edgepose.PoseTracker("ppn-swift", smoothing=False, refine=refine)
    with plain, refined:
        results = zip(plain.stream(source), refined.stream(source), frames(source), strict=True)
        rate = cv2.VideoCapture(source).get(cv2.CAP_PROP_FPS) or 30.0
        writer = None
        for before, after, frame in results:
            pair = np.hstack([labelled(frame, before, "plain"), labelled(frame, after, "refined")])
            if writer is None:
                size = pair.shape[1], pair.shape[0]
                writer = cv2.VideoWriter(target, cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
            writer.write(pair)
    if writer is None:
        sys.exit(f"{source} has no frames.")
    writer.release()
    print(f"{target} is written.")


def frames(source: str) -> Iterator[np.ndarray]:
    """Decode a video once more, for the pictures."""
    video = cv2.VideoCapture(source)
    while True:
        read, frame = video.read()
        if not read:
            return
        yield frame


def labelled(frame: np.ndarray, result: edgepose.PoseResult, text: str) -> np.ndarray:
    """Draw a pose and say what it is."""
    picture = edgepose.draw_result(frame, result)
    cv2.putText(picture, text, (12, 80), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 255), 3)
    return picture


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python refine_side_by_side.py VIDEO OUT.mp4")
    main(*sys.argv[1:])
