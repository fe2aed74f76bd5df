"""Track everybody in a video and print who was in which half of the picture for how long.

python samples/several_people.py VIDEO
"""

import sys
from collections import defaultdict

import edgepose


def half_of(person: edgepose.Person, width: int) -> str:
    """Return the half of the picture that the middle of a person's joints is in."""
    return "left" if person.keypoints[:, 0].mean() < width / 2 else "right"


def main(path: str) -> None:
    """Track a video and add up times."""
    seconds: defaultdict[tuple[int, str], float] = defaultdict(float)
    last_ms = None
    with edgepose.PoseTracker("ppn-swift", max_people="all") as tracker:
        for frame, result in tracker.stream(path, with_frames=True):
            passed_ms = 0.0 if last_ms is None else result.timestamp_ms - last_ms
            last_ms = result.timestamp_ms
            for person in result.people:
                seconds[person.person_id, half_of(person, frame.shape[1])] += passed_ms / 1e3
    for (person_id, half), time in sorted(seconds.items()):
        print(f"person {person_id}: {time:.1f} s in the {half} half")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python several_people.py VIDEO")
    main(sys.argv[1])
