"""What the comparison of whole and cut videos counts."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.archive.cuts import by_frame, continuations, report, wilson_interval
from edgepose.pose_files.builder import PersonRow, TableBuilder
from edgepose.results import Origin
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13


def table(identities, shift=0.0):
    """Two people for six frames; identities by frame, for the one at 0 and the one at 300."""
    builder = TableBuilder(PENN13, "walk.mp4")
    for frame, pair in enumerate(identities):
        people = [
            PersonRow(identity, standing_person((x + shift, 100), 100), Origin.PROPAGATED)
            for identity, x in zip(pair, (0, 300), strict=True)
        ]
        builder.add(frame, 40.0 * frame, people)
    return builder.table()


WHOLE = table([(1, 2)] * 6)


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ([(1, 2)] * 6, [True, True]),
        ([(7, 8)] * 6, [True, True]),
        ([(1, 2)] * 3 + [(2, 1)] * 3, [False, False]),
        ([(1, 2)] * 3 + [(1, 3)] * 3, [True, False]),
    ],
)
def test_identities_are_compared_on_both_sides_of_a_cut(cut, kept):
    found = list(continuations(by_frame(WHOLE), by_frame(table(cut)), 3))
    assert sorted(found) == sorted(kept)


def test_distances_are_in_heights():
    lines = report(WHOLE, table([(1, 2)] * 6, shift=10.0), 3)
    assert lines[1].startswith("Distance of joints in heights of the person: median 0.1053")
    assert (
        lines[2] == "Identities joined over cuts: 2 of 2 (100.0 %, 95 % interval 34.2 to 100.0 %)."
    )


def test_who_is_found_a_little_behind_a_cut_is_compared_too():
    late = table([(1, 2)] * 6)
    there = (late.frame != 3) | (late.person_id != 2)
    ids = np.where((late.frame > 3) & (late.person_id == 2), 3, late.person_id)
    late = replace(late, person_id=ids).select(there)
    assert sorted(continuations(by_frame(WHOLE), by_frame(late), 3)) == [False, True]


def test_people_at_the_same_place_are_not_taken_for_each_other():
    same = by_frame(table([(1, 2)] * 6))
    for frame in range(3):
        same[frame][2] = same[frame][1].copy()
    assert list(continuations(same, same, 3)) == [True, True]


def test_wilson_intervals_are_those_of_tables():
    assert wilson_interval(9, 10) == pytest.approx((0.596, 0.982), abs=0.001)
