"""Identities over the cuts of a video."""

from dataclasses import replace

import numpy as np
import pytest

import edgepose
from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.plan import Unit
from edgepose.archive.units.identities import join_range, matching_people
from edgepose.archive.units.joining import RangeJoiner
from edgepose.pose_files.builder import PersonRow, TableBuilder
from edgepose.pose_files.parquet import write_parquet
from edgepose.results import Origin
from edgepose.testing import standing_person
from edgepose_runtime.poses.skeletons import PENN13

OVERLAP, RANGE = 5, 10


def table(first, stop, places, unit="u"):
    """People at x = place + frame, by the identities that are given."""
    builder = TableBuilder(PENN13, "walk.mp4", {"unit": unit})
    for frame in range(first, stop):
        people = [
            PersonRow(identity, standing_person((x + frame, 100), 80), Origin.PROPAGATED)
            for identity, x in places.items()
        ]
        builder.add(frame, 40.0 * frame, people)
    return builder.table()


def _joined_frames(*tables):
    """Return the columns of the frames of several tables."""
    names = ("video", "frame", "timestamp_ms", "reason")
    return {n: np.concatenate([getattr(t.frames, n) for t in tables]) for n in names}


def _joined_rows(*tables):
    """Return the columns of the people of several tables."""
    names = ("video", "frame", "timestamp_ms", "person_id", "keypoints", "score", "roi", "origin")
    names += ("state", "key_frame_age")
    return {n: np.concatenate([getattr(t, n) for t in tables]) for n in names}


class TestMatching:
    def test_people_are_matched_by_where_they_are(self):
        before = table(0, RANGE, {1: 0, 2: 200})
        piece = table(RANGE - OVERLAP, 2 * RANGE, {1: 201, 2: 1, 3: 500})
        assert matching_people(piece, before, RANGE) == {1: 2, 2: 1}

    def test_who_is_elsewhere_is_somebody_else(self):
        before = table(0, RANGE, {1: 0})
        piece = table(RANGE - OVERLAP, 2 * RANGE, {1: 60})
        assert matching_people(piece, before, RANGE) == {}

    def test_who_is_exchanged_within_the_overlap_is_who_they_are_at_its_end(self):
        walk = table(0, RANGE, {1: 0, 2: 200})
        # The range before notices a few frames before its end that it had taken one for the other.
        ids = np.where(walk.frame < RANGE - 3, 3 - walk.person_id, walk.person_id)
        before = replace(walk, person_id=ids)
        piece = table(0, 2 * RANGE, {5: 0, 6: 200})
        assert matching_people(piece, before, RANGE) == {5: 1, 6: 2}

    def test_who_is_seen_at_the_beginning_of_the_overlap_only_is_matched_too(self):
        before = table(RANGE - 2, RANGE, {3: 400})
        before = replace(table(0, RANGE, {1: 0}), **_joined_rows(table(0, 2, {1: 0}), before))
        piece = table(0, 2 * RANGE, {5: 0, 6: 400})
        assert matching_people(piece, before, RANGE) == {5: 1, 6: 3}

    def test_nobody_is_matched_by_poses_that_were_only_predicted(self):
        before = table(0, RANGE, {1: 0})
        hidden = replace(before, state=np.full(len(before), "hidden"))
        assert matching_people(table(0, 2 * RANGE, {5: 0}), hidden, RANGE) == {}

    def test_without_a_range_before_everybody_is_new(self):
        assert matching_people(table(0, RANGE, {1: 0}), None, 0) == {}

    def test_joints_that_were_not_seen_do_not_count(self):
        before, piece = table(0, RANGE, {1: 0}), table(RANGE - OVERLAP, 2 * RANGE, {4: 0})
        piece.keypoints[:, 3] = np.nan
        assert matching_people(piece, before, RANGE) == {4: 1}


class TestLatePeople:
    """The one range loses somebody, and the other finds them afterwards."""

    def late(self, place, first=RANGE + 3):
        """Somebody whom the range finds first in frame ``first``, at ``place + frame``."""
        piece = table(RANGE - OVERLAP, first, {})
        people = table(first, 2 * RANGE, {4: place})
        frames = replace(piece.frames, **_joined_frames(piece, people))
        return replace(people, frames=frames)

    def test_who_is_found_behind_the_overlap_is_who_was_lost_there(self):
        before = table(0, RANGE, {7: 0, 8: 200})
        assert matching_people(self.late(0), before, RANGE) == {4: 7}

    def test_who_is_found_elsewhere_is_somebody_new(self):
        before = table(0, RANGE, {7: 0})
        assert matching_people(self.late(60), before, RANGE) == {}

    def test_nobody_is_waited_for_longer_than_a_second(self):
        before = table(0, RANGE, {7: 0})
        piece = self.late(0)
        later = replace(piece, timestamp_ms=piece.timestamp_ms + 1000)
        assert matching_people(later, before, RANGE) == {}

    def test_who_is_much_larger_is_somebody_new(self):
        before = table(0, RANGE, {7: 0})
        piece = self.late(0)
        middle = piece.keypoints[..., :2].mean(axis=1, keepdims=True)
        piece.keypoints[..., :2] = middle + 2 * (piece.keypoints[..., :2] - middle)
        assert matching_people(piece, before, RANGE) == {}

    def test_poses_that_were_only_predicted_do_not_count(self):
        before = table(0, RANGE, {7: 0})
        piece = self.late(0)
        hidden = replace(piece, state=np.full(len(piece), "hidden"))
        assert matching_people(hidden, before, RANGE) == {}

    def test_whom_both_ranges_see_apart_are_two_people(self):
        before = table(0, RANGE, {7: 0})
        piece = table(RANGE - OVERLAP, 2 * RANGE, {4: 29})
        assert matching_people(piece, before, RANGE) == {}


def test_new_people_get_new_identities_and_the_overlap_is_thrown_away():
    piece = table(RANGE - OVERLAP, 2 * RANGE, {1: 0, 2: 200, 7: 400})
    joined = join_range(piece, RANGE, {2: 5}, last_id=9)
    assert joined.last_id == 11
    assert joined.table.frame.min() == joined.table.frames.frame.min() == RANGE
    assert joined.table.person_id[:3].tolist() == [10, 5, 11]


class TestJoiner:
    @pytest.fixture
    def folder(self, tmp_path):
        return ArchiveFolder(tmp_path)

    @pytest.fixture
    def units(self):
        """Three ranges of one video."""
        stops = (RANGE, 2 * RANGE, None)
        return [
            Unit(f"u{i}", "walk.mp4", "walk.mp4", "f", i * RANGE, stop, i, 1)
            for i, stop in enumerate(stops)
        ]

    def write(self, folder, unit, places):
        first = max(0, unit.start - OVERLAP)
        piece = table(first, unit.start + RANGE, places, unit.unit)
        write_parquet(folder.output(unit), piece, {})

    def identities(self, folder):
        found = edgepose.read_poses(folder.path)
        head = found.keypoints[:, 0, 0] - found.frame
        return {
            (int(found.frame[row]) // RANGE, int(head[row])): int(found.person_id[row])
            for row in range(len(found))
        }

    PLACES = ({1: 0, 2: 200}, {1: 200, 2: 0}, {1: 200})

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
    def test_ranges_are_joined_in_whatever_order_they_come(self, folder, units, order):
        joiner = RangeJoiner(folder, units, single=False)
        for index in order:
            self.write(folder, units[index], self.PLACES[index])
            joiner.add(units[index])
        wanted = {(0, 0): 1, (0, 200): 2, (1, 0): 1, (1, 200): 2, (2, 200): 2}
        assert self.identities(folder) == wanted
        assert not list(folder.path.glob("pieces/*"))

    def test_behind_a_gap_identities_begin_anew_until_it_is_filled(self, folder, units):
        for index in (0, 2):
            self.write(folder, units[index], self.PLACES[index])
        RangeJoiner(folder, units, single=False).finish()
        assert self.identities(folder) == {(0, 0): 1, (0, 200): 2, (2, 200): 3}
        self.write(folder, units[1], self.PLACES[1])
        RangeJoiner(folder, units, single=False).finish()
        wanted = {(0, 0): 1, (0, 200): 2, (1, 0): 1, (1, 200): 2, (2, 200): 2}
        assert self.identities(folder) == wanted
        assert not list(folder.path.glob("pieces/*"))

    def test_one_person_is_always_the_first(self, folder, units):
        for unit, place in zip(units, (0, 300, 600), strict=True):
            self.write(folder, unit, {1: place})
        RangeJoiner(folder, units, single=True).finish()
        assert set(self.identities(folder).values()) == {1}
