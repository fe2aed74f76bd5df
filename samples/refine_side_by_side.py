"""Write a video of a person tracked without (left) and with thin-slicing (right).

python samples/refine_side_by_side.py samples/clips/balance.mp4 side_by_side.mp4
"""

import sys

import cv2
import numpy as np

import edgepose


def main(source: str, target: str) -> None:
    """Track a video twice and join the overlays."""
    with edgepose.open_source(source) as opened:
        fps = opened.fps or 30.0
    refine = edgepose.ThinSlicing(lag_frames=2)
    with (
        edgepose.PoseTracker("ppn-swift", smoothing=False) as plain,
        edgepose.PoseTracker("ppn-swift", smoothing=False, refine=refine) as refined,
        edgepose.sinks.VideoSink(target, fps=fps) as video,
    ):
        after = refined.stream(source)
        for frame, before in plain.stream(source, with_frames=True):
            left = labelled(frame, before, "plain")
            video.write(np.hstack([left, labelled(frame, next(after), "refined")]))
    print(f"Wrote {target}.")


def labelled(frame: np.ndarray, result: edgepose.PoseResult, text: str) -> np.ndarray:
    """Draw a pose and a title."""
    image = edgepose.draw_result(frame, result)
    cv2.putText(image, text, (12, 80), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 255), 3)
    return image


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python refine_side_by_side.py VIDEO OUT.mp4")
    try:
        main(*sys.argv[1:])
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
