"""Kernels that pass messages between the joints of neighbouring frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import kernel
from edgepose_runtime.thin_slicing.spring_kernels import limits, scratch_for, transform

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]

SUM, MEAN = 0, 1


class Wiring(NamedTuple):
    """Who sends to whom: M messages within a frame, D neighbours in time.

    Attributes:
        senders: (M,) joints, in order.
        receivers: (M,) joints.
        reverses: (M,) the message from the receiver back to the sender.
        springs: (M, 4) a_x, b_x, a_y, b_y over receiver minus sender.
        weights: (M,) what each message counts; the frame's own maps count 1.
        offsets: (D,) frames from the receiver to the sender in time.
        time_springs: (D, K, 4) as ``springs``.
        time_weights: (D, K) as ``weights``.
    """

    senders: Indices
    receivers: Indices
    reverses: Indices
    springs: Floats
    weights: Floats
    offsets: Indices
    time_springs: Floats
    time_weights: Floats


class Ring(NamedTuple):
    """What is known of the last R frames, after each of L rounds; frame f lies at f modulo R.

    Attributes:
        totals: (L + 1, R, K, h, w) own maps plus weighted messages; round 0 is the own maps.
        scales: (L + 1, R, K) by which a total becomes a score.
        messages: (L, R, M, h, w) of each round within the frame.
        time_messages: (L, R, D, K, h, w) of each round from its neighbours in time.
        cells: (R, D, h, w) where each cell comes from in its neighbour; see `bilinear_taps`.
        parts: (R, D, 2, h, w) how far from there, across and down.
        seen: (L + 1, R) which was the newest frame when a round was last computed, -1 for never.
        seen_messages: (L, R) the same for messages within the frame.
        seen_time: (L, R, D) the same for messages in time.
    """

    totals: Floats
    scales: Floats
    messages: Floats
    time_messages: Floats
    cells: Indices
    parts: Floats
    seen: NDArray[np.int64]
    seen_messages: NDArray[np.int64]
    seen_time: NDArray[np.int64]


class Rule(NamedTuple):
    """How messages are added up: a normalisation, and whether answers leave out the question."""

    normalise: int
    exclude_reverse: bool


@kernel
def bilinear_taps(grid: Floats, cells: Indices, parts: Floats) -> None:
    """Find the four cells around each point of a grid (h, w, 2) of x, y.

    Args:
        grid: points; NaN for nowhere.
        cells: (h, w) receives the upper left one, as it is counted in a map with a border of one
            cell. A point outside, or nowhere, is put into the corner of the border.
        parts: (2, h, w) receives how far from there the point is, across and down, from 0 to 1.
    """
    height, width = grid.shape[:2]
    for v in range(height):
        for u in range(width):
            x, y = grid[v, u, 0] + np.float32(1), grid[v, u, 1] + np.float32(1)
            inside = (x > 0) & (x < width + 1) & (y > 0) & (y < height + 1)  # not so for NaN
            x, y = (x if inside else np.float32(0)), (y if inside else np.float32(0))
            left, top = np.int32(x), np.int32(y)
            cells[v, u] = top * np.int32(width + 2) + left
            parts[0, v, u], parts[1, v, u] = x - np.float32(left), y - np.float32(top)


@kernel
def warp(
    scores: Floats, cells: Indices, parts: Floats, outside: float, bordered: Floats, out: Floats
) -> None:
    """Sample a map (h, w) at taps; what is unknown counts as ``outside``.

    ``bordered`` is scratch memory of `bordered_size` values for the map with its border.
    """
    wide = scores.shape[1] + 2
    _add_border(scores, outside, bordered)
    flat, result = cells.ravel(), out.ravel()
    across, down = parts[0].ravel(), parts[1].ravel()
    right, below, across_below = bordered[1:], bordered[wide:], bordered[wide + 1 :]
    for i in range(len(result)):
        at = np.uint32(flat[i])  # a signed index would be checked for counting from the end
        upper = bordered[at] + across[i] * (right[at] - bordered[at])
        lower = below[at] + across[i] * (across_below[at] - below[at])
        result[i] = upper + down[i] * (lower - upper)


@kernel
def bordered_size(height: int, width: int) -> int:
    """Return how many values a map (h, w) with a border of one cell has."""
    return (height + 2) * (width + 2)


@kernel
def _add_border(scores: Floats, outside: float, bordered: Floats) -> None:
    height, width = scores.shape
    bordered[:] = outside
    for y in range(height):
        row = bordered[(y + 1) * (width + 2) + 1 :]
        for x in range(width):
            row[x] = scores[y, x]


@kernel
def warp_all(maps: Floats, grid: Floats, outside: float, out: Floats) -> None:
    """Sample maps (N, h, w) at the points of a grid (h, w, 2) into ``out`` (N, h, w)."""
    height, width = grid.shape[:2]
    cells, parts = np.empty((height, width), np.int32), np.empty((2, height, width), np.float32)
    bordered = np.empty(bordered_size(height, width), np.float32)
    bilinear_taps(grid, cells, parts)
    for i in range(len(maps)):
        warp(maps[i], cells, parts, outside, bordered, out[i])


@kernel
def _sent(
    ring: Ring, rule: Rule, at: tuple[int, int, int], weight: float, reverse: Floats, out: Floats
) -> None:
    """Write into ``out`` the score that a joint sends, without what it got by ``reverse``."""
    scale = ring.scales[at]
    total = ring.totals[at]
    if not rule.exclude_reverse or at[0] == 0:
        weight = 0.0
    if weight and rule.normalise == MEAN:
        scale = 1 / (1 / scale - weight)
    factor, back = np.float32(scale), np.float32(weight)
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            out[y, x] = factor * (total[y, x] - back * reverse[y, x])


@kernel
def _send_within(ring: Ring, wiring: Wiring, rule: Rule, level: int, slot: int) -> None:
    """Compute the messages within a frame that round ``level + 1`` adds up."""
    shape = ring.totals.shape[3:]
    sent, scratch = np.empty(shape, np.float32), scratch_for(shape[0], shape[1])
    before = -1
    for m in range(len(wiring.senders)):
        back, sender = wiring.reverses[m], wiring.senders[m]
        if rule.exclude_reverse or sender != before:  # else each receiver is sent the same
            reverse = ring.messages[max(level - 1, 0), slot, back]
            _sent(ring, rule, (level, slot, sender), wiring.weights[back], reverse, sent)
        before = sender
        transform(sent, wiring.springs[m], scratch, ring.messages[level, slot, m])


@kernel
def _send_in_time(
    ring: Ring, wiring: Wiring, rule: Rule, level: int, slots: tuple[int, int], d: int
) -> None:
    """Compute the messages from one neighbour in time that round ``level + 1`` adds up.

    ``slots`` are those of the receiver and of the sender.
    """
    receiver, sender = slots
    shape = ring.totals.shape[3:]
    sent, warped = np.empty(shape, np.float32), np.empty(shape, np.float32)
    scratch = scratch_for(shape[0], shape[1])
    bordered = np.empty(bordered_size(shape[0], shape[1]), np.float32)
    cells, parts = ring.cells[receiver, d], ring.parts[receiver, d]
    back = len(wiring.offsets) - 1 - d
    for joint in range(ring.totals.shape[2]):
        reverse = ring.time_messages[max(level - 1, 0), sender, back, joint]
        weight = wiring.time_weights[back, joint]
        _sent(ring, rule, (level, sender, joint), weight, reverse, sent)
        low, _ = limits(sent.ravel(), shape[0], shape[1], scratch[0])
        warp(sent, cells, parts, low, bordered, warped)
        message = ring.time_messages[level, receiver, d, joint]
        transform(warped, wiring.time_springs[d, joint], scratch, message)


@kernel
def _add(total: Floats, message: Floats, weight: float) -> None:
    factor = np.float32(weight)
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            total[y, x] += factor * message[y, x]


@kernel
def _combine(
    ring: Ring, wiring: Wiring, rule: Rule, level: int, slot: int, heard: NDArray[np.bool_]
) -> None:
    """Add the messages of a round to the frame's own maps; ``heard`` (D,) says from whom."""
    ring.totals[level, slot] = ring.totals[0, slot]
    counts = np.ones(ring.totals.shape[2], np.float32)
    for m in range(len(wiring.receivers)):
        joint = wiring.receivers[m]
        _add(ring.totals[level, slot, joint], ring.messages[level - 1, slot, m], wiring.weights[m])
        counts[joint] += wiring.weights[m]
    for d in range(len(heard)):
        if heard[d]:
            for joint in range(len(counts)):
                weight = wiring.time_weights[d, joint]
                message = ring.time_messages[level - 1, slot, d, joint]
                _add(ring.totals[level, slot, joint], message, weight)
                counts[joint] += weight
    for joint in range(len(counts)):
        ring.scales[level, slot, joint] = 1 / counts[joint] if rule.normalise == MEAN else 1.0


@kernel
def _is_current(seen: int, horizon: int, newest: int) -> bool:
    """Whether what was computed when ``seen`` was the newest frame would be the same now."""
    return seen >= 0 and (seen == newest or horizon <= seen)


@kernel
def _update(
    ring: Ring, wiring: Wiring, rule: Rule, level: int, frame: int, frames: tuple[int, int]
) -> None:
    """Bring one frame's round up to date; rounds before it must be."""
    oldest, newest = frames
    size, reach = ring.totals.shape[1], len(wiring.offsets) // 2
    slot, before = frame % size, level - 1
    if not _is_current(ring.seen_messages[before, slot], frame + before * reach, newest):
        _send_within(ring, wiring, rule, before, slot)
        ring.seen_messages[before, slot] = newest
    heard = np.zeros(len(wiring.offsets), np.bool_)
    for d in range(len(heard)):
        other = frame + wiring.offsets[d]
        if not oldest <= other <= newest:
            continue
        heard[d] = True
        if not _is_current(ring.seen_time[before, slot, d], other + before * reach, newest):
            _send_in_time(ring, wiring, rule, before, (slot, other % size), d)
            ring.seen_time[before, slot, d] = newest
    _combine(ring, wiring, rule, level, slot, heard)
    ring.seen[level, slot] = newest


@kernel
def pass_messages(
    ring: Ring, wiring: Wiring, rule: Rule, wanted: int, frames: tuple[int, int]
) -> None:
    """Bring the last round of one frame up to date, with all that it rests on.

    What an earlier call computed is used again, unless a frame that came since would change it.

    Args:
        ring: round 0 of all frames and the taps of their neighbours are in it.
        wiring: who sends to whom.
        rule: how messages are added up.
        wanted: the frame.
        frames: the oldest and the newest frame that there are.
    """
    oldest, newest = frames
    size, reach = ring.totals.shape[1], len(wiring.offsets) // 2
    rounds = len(ring.totals) - 1
    for level in range(1, rounds + 1):
        around = (rounds - level) * reach
        for frame in range(max(oldest, wanted - around), min(newest, wanted + around) + 1):
            if not _is_current(ring.seen[level, frame % size], frame + level * reach, newest):
                _update(ring, wiring, rule, level, frame, frames)
