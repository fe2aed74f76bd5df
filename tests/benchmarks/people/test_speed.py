import json
from types import SimpleNamespace

import numpy as np
import pytest

import benchmarks.people
from benchmarks.people import main, parse_arguments
from benchmarks.people.cutouts import Cutout
from benchmarks.people.scenes import HEIGHT, WIDTH
from benchmarks.people.speed import Timing, crowd, longest_wait, table


@pytest.mark.parametrize("count", [1, 6, 20])
def test_a_crowd_stands_apart_inside_the_picture(count):
    walks = crowd(count).walks
    places = {(float(walk.x[0]), float(walk.y[0])) for walk in walks}
    assert len(places) == len(walks) == count
    assert all(
        walk.x.min() > 0 and walk.x.max() < WIDTH and walk.y[0] + walk.height / 2 < HEIGHT
        for walk in walks
    )


def test_times_are_given_with_their_ratio_to_one_person():
    timing = Timing(6, 6.0, 2.0, 12.0, 5.0, 30.0, 33.0, 2, None)
    (row,) = table([timing]).rows
    assert row[:2] == ("6", "6.0") and "12.00 (6.0x)" in row and "5.00 (2.5x)" in row


def test_the_longest_wait_is_of_one_person_without_a_look():
    def frame(**origins):
        people = [SimpleNamespace(person_id=who, origin=how) for who, how in origins.items()]
        return SimpleNamespace(people=people)

    frames = [frame(a="predicted", b="propagated"), frame(a="predicted", b="predicted")]
    assert longest_wait([*frames, frame(a="propagated", b="predicted")]) == 2
    assert longest_wait(frames[:1]) == 1 and longest_wait([]) == 0


def test_the_speed_of_a_crowd_is_measured(tmp_path, capsys, monkeypatch):
    joints = np.array([(0, 0), (19, 59)], np.float32)
    bar = Cutout(np.full((60, 20, 3), 90, np.uint8), np.ones((60, 20), np.float32), joints)
    monkeypatch.setattr(benchmarks.people, "cast", lambda _: [[bar, bar]])
    monkeypatch.setattr(benchmarks.people, "data_root", lambda: tmp_path)
    main(["speed", "--counts", "2", "--frames", "3", "--out", str(tmp_path)])
    (result,) = json.loads((tmp_path / "people.json").read_text())["results"]
    assert result["people"] == 2 and result["every_ms"] > 0
    assert "every frame" in capsys.readouterr().out


def test_counts_and_kinds_are_lists():
    assert parse_arguments(["speed", "--counts", "1,3"]).counts == (1, 3)
    assert parse_arguments(["compose", "out", "--kinds", "cross,meet"]).kinds == ("cross", "meet")
