"""Count repetitions of an exercise: bend and stretch. Ctrl-C, or q in the window, stops.

python samples/rep_counter.py 0 --movement squat --show
python samples/rep_counter.py samples/clips/balance.mp4 --movement curl
"""

import argparse
import sys

import cv2

import edgepose

#: The three joints of the angle, without the side, and the degrees that count as bent and straight.
MOVEMENTS = {
    "squat": (("hip", "knee", "ankle"), 100, 160),
    "curl": (("shoulder", "elbow", "wrist"), 80, 140),
}


class RepCounter:
    """Counts how often a limb was bent and stretched again.

    Two thresholds: with a single one, an angle that trembles around it would count many times.
    """

    def __init__(self, movement: str) -> None:
        self.joints, self.bent, self.straight = MOVEMENTS[movement]
        self.is_bent = False
        self.count = 0

    def angle(self, result: edgepose.PoseResult) -> float | None:
        """Return the smaller angle of both sides in degrees, None if neither is known."""
        sides = ([f"{side}_{joint}" for joint in self.joints] for side in ("left", "right"))
        angles = [result.angle(*names) for names in sides]
        return min((angle for angle in angles if angle is not None), default=None)

    def update(self, result: edgepose.PoseResult) -> bool:
        """Take in a result; return whether it completes a repetition."""
        angle = self.angle(result)
        if angle is None:  # nobody there: keep the state
            return False
        if angle < self.bent:
            self.is_bent = True
        elif angle > self.straight and self.is_bent:
            self.is_bent = False
            self.count += 1
            return True
        return False


def main(source: int | str, movement: str, show: bool) -> None:
    """Count until the source ends."""
    counter = RepCounter(movement)
    with edgepose.PoseTracker("ppn-swift") as tracker:
        for frame, result in tracker.stream(source, with_frames=True):
            if counter.update(result):
                print(f"{result.timestamp_ms / 1000:.1f} s: repetition {counter.count}", flush=True)
            if show:
                image = edgepose.draw_result(frame, result)
                font = cv2.FONT_HERSHEY_SIMPLEX
                cv2.putText(image, str(counter.count), (20, 80), font, 3, (255, 255, 255), 6)
                cv2.imshow("edgepose", image)
                if cv2.waitKey(1) == ord("q"):
                    break
    print(f"{counter.count} in all")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Count repetitions of an exercise.")
    parser.add_argument("source", help="number of a camera, video file or address")
    parser.add_argument("--movement", choices=MOVEMENTS, default="squat")
    parser.add_argument("--show", action="store_true", help="show the video in a window")
    args = parser.parse_args()
    try:
        main(int(args.source) if args.source.isdigit() else args.source, args.movement, args.show)
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopping.")
