"""What runs on the emulated machine: ``python -m benchmarks.arm.checks KIND [BUNDLE FILE]``.

Each check prints a line of JSON as soon as it is known, so that a crash leaves those before it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.arm import kernels
from benchmarks.arm.reference import Arrays, load_graph, track
from edgepose.inference.model import bundle_path
from edgepose_runtime.backends.base import INT8
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.errors import EdgePoseError

#: By how much outputs of a graph may differ, as the root mean square in parts of that of the
#: reference: other processors sum in another order, and int8 then rounds to another step.
FLOAT_LIMIT, INT8_LIMIT = 1e-3, 0.15
#: By how many pixels joints may differ on average, in a frame of 540 x 960.
JOINT_LIMIT_PX = 3.0


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        name: of what.
        difference: from the reference, in the unit of the kind.
        limit: the largest that is right.
        seconds: what it took, which says nothing about a real processor.
        note: what else there is to say: the precision in use, or an error.
    """

    name: str
    difference: float
    limit: float
    seconds: float
    note: str = ""

    @property
    def right(self) -> bool:
        """Whether the difference is within the limit; NaN is not."""
        return self.difference <= self.limit


def check_kernels() -> Iterator[Check]:
    """Compare kernels with NumPy."""
    for name, (_, limit) in kernels.KERNELS.items():
        began_s = time.monotonic()
        difference = kernels.difference(name)
        yield Check(f"kernel: {name}", difference, limit, time.monotonic() - began_s)


def check_graphs(name: str, reference: Arrays) -> Iterator[Check]:
    """Compare the graphs of a bundle with what another machine recorded."""
    bundle = load_bundle(bundle_path(name))
    for graph in (key.split("/")[0] for key in reference if key.endswith("/precision")):
        feeds = _named(f"{graph}/in/", reference)
        expected = _named(f"{graph}/out/", reference)
        limit = INT8_LIMIT if INT8 in str(reference[f"{graph}/precision"]) else FLOAT_LIMIT
        began_s = time.monotonic()
        try:
            with load_graph(bundle, graph, "float32") as network:
                difference = worst_difference(network.infer(feeds), expected)
                note = network.precision
        except EdgePoseError as error:
            difference, note = float("inf"), str(error)
        yield Check(f"{name}: {graph}", difference, limit, time.monotonic() - began_s, note)


def check_tracking(name: str, reference: Arrays) -> Iterator[Check]:
    """Compare joints of a tracker, in the precision that users get, with float32 elsewhere."""
    began_s = time.monotonic()
    try:
        joints, note = track(name, list(reference["frames"]), "auto")
        expected = np.asarray(reference["joints"], np.float64)
        difference = float(np.linalg.norm((joints - expected)[..., :2], axis=-1).mean())
    except EdgePoseError as error:
        difference, note = float("inf"), str(error)
    took_s = time.monotonic() - began_s
    yield Check(f"{name}: joints of {len(reference['frames'])} frames, px", difference,
                JOINT_LIMIT_PX, took_s, note)  # fmt: skip


def worst_difference(found: Arrays, expected: Arrays) -> float:
    """Return the largest relative difference of several arrays; infinite where not finite."""
    return max(relative_difference(found[name], expected[name]) for name in expected)


def relative_difference(found: NDArray[np.generic], expected: NDArray[np.generic]) -> float:
    """Return the root mean square of a difference, in parts of that of the expected values."""
    wanted = np.asarray(expected, np.float64)
    size = np.sqrt(np.square(wanted).mean()) or 1.0
    parts = float(np.sqrt(np.square(np.asarray(found, np.float64) - wanted).mean()) / size)
    return parts if np.isfinite(parts) else float("inf")


def _named(prefix: str, arrays: Arrays) -> Arrays:
    return {
        key.removeprefix(prefix): each for key, each in arrays.items() if key.startswith(prefix)
    }


def run(words: list[str]) -> Iterator[Check]:
    """Run the checks of one kind: ``kernels``, ``graphs`` or ``tracking``."""
    if words == ["kernels"]:
        yield from check_kernels()
        return
    kind, bundle, file = words
    with np.load(Path(file)) as arrays:
        reference: Arrays = dict(arrays)
    yield from (check_graphs if kind == "graphs" else check_tracking)(bundle, reference)


if __name__ == "__main__":
    for check in run(sys.argv[1:]):
        print(json.dumps(asdict(check)), flush=True)
