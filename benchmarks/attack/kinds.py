"""The kinds of inputs, by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.attack.calls import calls
from benchmarks.attack.commands import commands
from benchmarks.attack.files import files
from benchmarks.attack.outcome import Input

#: Makes an input from random numbers and a folder of its own.
KINDS: dict[str, Callable[[random.Random, Path], Input]] = {
    "calls": calls,
    "commands": commands,
    "files": files,
}
