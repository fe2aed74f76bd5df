"""``python -m benchmarks [accuracy|speed|soak] [options]``: the first two by default."""

from __future__ import annotations

import sys

from benchmarks import accuracy, soak, speed
from edgepose_runtime.errors import EdgePoseError

PARTS = {"speed": speed.main, "accuracy": accuracy.main, "soak": soak.main}
#: Those that run when none is named; the soak takes minutes, and has other options.
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
