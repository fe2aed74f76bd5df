"""``python -m benchmarks [PART] [options]``: one part, or those that run by default."""

from __future__ import annotations

import sys

from benchmarks import absence, accuracy, server, soak, speed, streams
from edgepose_runtime.errors import EdgePoseError

PARTS = {
    "speed": speed.main,
    "accuracy": accuracy.main,
    "soak": soak.main,
    "streams": streams.main,
    "absence": absence.main,
    "server": server.main,
}
#: Those that run when none is named; the others take minutes, and have other options.
BY_DEFAULT = ("speed", "accuracy")


def main(words: list[str]) -> int:
    """Run one part with its options, or all; return the exit code."""
    try:
        if words and words[0] in PARTS:
            PARTS[words[0]](words[1:])
        else:
            for name in BY_DEFAULT:
                PARTS[name](words)
    except EdgePoseError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
