"""Kernels that follow patches of a picture into the next one (Lucas-Kanade, on pyramids)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import fused_kernel, summing_kernel
from edgepose_runtime.poses.grey_view import BORDER

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Levels = tuple[Bytes, ...]

#: Side of a patch, and the columns that loops take: those too many have no gradient. Loops of up to
#: 16 would be unrolled before they are made vector instructions, and then are not.
SIDE, COLUMNS = 9, 18
#: Steps per level at most, and how short one ends them, in pixels.
STEPS, SHORTEST = 10, 0.02
#: A patch is too plain to follow where the smaller eigenvalue of its gradients' squares, summed,
#: is below this: OpenCV's threshold of 1e-4 in its units.
PLAIN = 1e-4 * 1024 * SIDE * SIDE
#: Numbers of a patch with its surroundings, of a patch, and of all that `follow_patch` works with.
AROUND, CELLS = (SIDE + 2) * (COLUMNS + 2), SIDE * COLUMNS
WORK = AROUND + 4 * CELLS
#: Two steps that nearly cancel end the steps half way between.
_BACK_AND_FORTH = 0.01


@summing_kernel
def _corner(
    x: float, y: float
) -> tuple[np.uint64, np.uint64, np.float32, np.float32, np.float32, np.float32]:
    """Return the row and column of the pixel before x, y, and the weights of the four around it."""
    left, top = math.floor(x), math.floor(y)
    a, b, one = np.float32(x - left), np.float32(y - top), np.float32(1)
    weights = (one - a) * (one - b), a * (one - b), (one - a) * b, a * b
    return np.uint64(top + BORDER), np.uint64(left + BORDER), *weights


# Loops have constant bounds: each is a few vector instructions then.


@summing_kernel
def _sample(level: Bytes, x: float, y: float, seen: Floats) -> None:
    """Write the picture's patch (9, 18) that begins at x, y, interpolated between pixels."""
    row, column, w00, w01, w10, w11 = _corner(x, y)
    for v in range(SIDE):
        upper = level[row + np.uint64(v), column:]
        lower = level[row + np.uint64(v + 1), column:]
        line = seen[v]
        for u in range(COLUMNS):
            line[u] = w00 * upper[u] + w01 * upper[u + 1] + w10 * lower[u] + w11 * lower[u + 1]


@summing_kernel
def _sample_around(level: Bytes, x: float, y: float, grid: Floats) -> None:
    """Write the patch that begins at x, y and a pixel on every side of it (11, 20)."""
    row, column, w00, w01, w10, w11 = _corner(x - 1, y - 1)
    for v in range(SIDE + 2):
        upper = level[row + np.uint64(v), column:]
        lower = level[row + np.uint64(v + 1), column:]
        line = grid[v]
        for u in range(COLUMNS + 2):
            line[u] = w00 * upper[u] + w01 * upper[u + 1] + w10 * lower[u] + w11 * lower[u + 1]


@summing_kernel
def _gradients(grid: Floats, across: Floats, down: Floats) -> None:
    """Write the gradients (9, 18) of a grid (11, 20) (Scharr)."""
    small, large = np.float32(3 / 32), np.float32(10 / 32)
    for v in range(SIDE):
        above, here, below, dx, dy = grid[v], grid[v + 1], grid[v + 2], across[v], down[v]
        for u in range(COLUMNS):
            dx[u] = small * (above[u + 2] - above[u] + below[u + 2] - below[u]) + large * (
                here[u + 2] - here[u]
            )
        for u in range(COLUMNS):
            dy[u] = small * (below[u] - above[u] + below[u + 2] - above[u + 2]) + large * (
                below[u + 1] - above[u + 1]
            )


@summing_kernel
def _blank(size: int, x: float, y: float, gradients: Floats) -> None:
    """Set gradients (9, 18) outside of the picture to 0: what is repeated there shows nothing."""
    left, top = max(0, math.ceil(-x)), max(0, math.ceil(-y))
    right, bottom = min(SIDE, math.floor(size - x)), min(SIDE, math.floor(size - y))
    gradients[:top], gradients[max(bottom, 0) :] = 0, 0
    gradients[:, :left], gradients[:, max(right, 0) :] = 0, 0


@summing_kernel
def _squares(across: Floats, down: Floats) -> tuple[np.float32, np.float32, np.float32]:
    """Return the sums of the gradients' (9 * 18,) squares and products."""
    xx = xy = yy = np.float32(0)
    for i in range(CELLS):
        xx += across[i] * across[i]
        xy += across[i] * down[i]
        yy += down[i] * down[i]
    return xx, xy, yy


@summing_kernel
def _mismatch(
    wanted: Floats, seen: Floats, across: Floats, down: Floats
) -> tuple[np.float32, np.float32]:
    """Return how the difference of two patches (9 * 18,) goes with the gradients."""
    x = y = np.float32(0)
    for i in range(CELLS):
        difference = wanted[i] - seen[i]
        x += difference * across[i]
        y += difference * down[i]
    return x, y


@summing_kernel
def _is_outside(level: Bytes, x: float, y: float) -> bool:
    """Return whether no part of the patch that begins at x, y is in the picture."""
    size = len(level) - 2 * BORDER
    return not (-SIDE <= math.floor(x) < size and -SIDE <= math.floor(y) < size)


@summing_kernel
def follow_patch(
    before: Levels, after: Levels, x: float, y: float, work: Floats
) -> tuple[float, float, bool]:
    """Return where the patch around a point went, and whether that was found.

    Args:
        before: levels of a picture, each half as large as the last and enlarged by `BORDER`.
        after: those of the next picture.
        x: of the point, in pixels of the first level.
        y: likewise.
        work: at least `WORK` numbers.
    """
    grid = work[:AROUND].reshape(SIDE + 2, COLUMNS + 2)
    patches = work[AROUND:WORK].reshape(4, SIDE, COLUMNS)
    across, down, wanted, seen = patches[0], patches[1], patches[2], patches[3]
    cells = work[AROUND:WORK].reshape(4, CELLS)
    half, found = (SIDE - 1) / 2, True
    there_x, there_y = x / 2 ** len(before), y / 2 ** len(before)
    for number in range(len(before) - 1, -1, -1):
        old, new = before[number], after[number]
        there_x, there_y = 2 * there_x, 2 * there_y
        from_x, from_y = x / 2**number - half, y / 2**number - half
        found = not _is_outside(old, from_x, from_y)
        if not found:
            continue
        _sample_around(old, from_x, from_y, grid)
        _gradients(grid, across, down)
        _blank(len(old) - 2 * BORDER, from_x, from_y, across)
        _blank(len(old) - 2 * BORDER, from_x, from_y, down)
        for v in range(SIDE):
            for u in range(COLUMNS):
                wanted[v, u] = grid[v + 1, u + 1]
        xx, xy, yy = _squares(cells[0], cells[1])
        root = math.sqrt((xx - yy) * (xx - yy) + 4 * xy * xy)
        found = bool((xx + yy - root) / 2 >= PLAIN)
        if not found:
            continue
        scale, last_x, last_y = 1 / (xx * yy - xy * xy), 0.0, 0.0
        for step in range(STEPS):
            if _is_outside(new, there_x - half, there_y - half):
                found = False
                break
            _sample(new, there_x - half, there_y - half, seen)
            wrong_x, wrong_y = _mismatch(cells[2], cells[3], cells[0], cells[1])
            step_x = (yy * wrong_x - xy * wrong_y) * scale
            step_y = (xx * wrong_y - xy * wrong_x) * scale
            there_x += float(step_x)
            there_y += float(step_y)
            if step_x * step_x + step_y * step_y <= SHORTEST * SHORTEST:
                break
            if step and max(abs(step_x + last_x), abs(step_y + last_y)) < _BACK_AND_FORTH:
                there_x -= float(step_x) / 2
                there_y -= float(step_y) / 2
                break
            last_x, last_y = float(step_x), float(step_y)
    if not found:
        return x, y, False
    return there_x, there_y, True


@fused_kernel
def propagate_joints(
    before: Levels,
    after: Levels,
    joints: Doubles,
    neighbours: Doubles,
    half_trusted: float,
    lost: float,
    there: Doubles,
    doubt: Doubles,
) -> None:
    """Propagate joints as `edgepose_runtime.poses.optical_flow.propagate_opencv` does.

    Args:
        before: levels of a view, as `follow_patch` wants them.
        after: of the next one.
        joints: (K, 2) in its pixels; NaN where not known.
        neighbours: (K, K), 1 for joints that are neighbours on the body.
        half_trusted: doubt of a joint that is half trusted.
        lost: doubt of one that was not found.
        there: (K, 2) receives where they went.
        doubt: (K,) receives how far off they come back.
    """
    count = len(joints)
    work, trust = np.empty(WORK, np.float32), np.zeros(count)
    flow = np.zeros((count, 2))
    for k in range(count):
        x, y = joints[k, 0], joints[k, 1]
        doubt[k] = np.nan
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        to_x, to_y, found = follow_patch(before, after, x, y, work)
        back_x, back_y, returned = follow_patch(after, before, to_x, to_y, work)
        doubt[k] = math.hypot(back_x - x, back_y - y) if found and returned else lost
        trust[k] = 1 / (1 + (doubt[k] / half_trusted) ** 2)
        flow[k, 0], flow[k, 1] = to_x - x, to_y - y
    for k in range(count):
        if math.isnan(doubt[k]):
            there[k] = np.nan
            continue
        total = 0.0
        mean_x = mean_y = 0.0
        for j in range(count):
            weight = neighbours[k, j] * trust[j]
            total += weight
            mean_x += weight * flow[j, 0]
            mean_y += weight * flow[j, 1]
        rest = (1 - trust[k]) / max(total, 1e-6)
        there[k, 0] = joints[k, 0] + trust[k] * flow[k, 0] + rest * mean_x
        there[k, 1] = joints[k, 1] + trust[k] * flow[k, 1] + rest * mean_y


@fused_kernel
def propagate_on_three_levels(
    before: Bytes,
    before_half: Bytes,
    before_quarter: Bytes,
    after: Bytes,
    after_half: Bytes,
    after_quarter: Bytes,
    joints: Doubles,
    neighbours: Doubles,
    half_trusted: float,
    lost: float,
    there: Doubles,
    doubt: Doubles,
) -> None:
    """Do what `propagate_joints` does, with each level an argument of its own."""
    old, new = (before, before_half, before_quarter), (after, after_half, after_quarter)
    propagate_joints(old, new, joints, neighbours, half_trusted, lost, there, doubt)
