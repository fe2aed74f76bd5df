from pathlib import Path

import numpy as np
import pytest

import benchmarks.people
from benchmarks.people import FRAMES_OF_EACH, PEOPLE, cast
from edgepose.datasets.clips import Clip
from edgepose.testing import standing_person
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import PENN13


def clip(action, film, height=120.0, frames=FRAMES_OF_EACH, **changes):
    joints = np.repeat(standing_person((80, 80), height)[None], frames, axis=0)
    known = {"boxes": None, "skeleton": PENN13, "fps": 25.0, "split": "train"}
    return Clip(f"{action}/{film}", film, lambda: iter(()), joints, **{**known, **changes})


@pytest.fixture
def chosen(monkeypatch):
    """Return the films of the people who are chosen out of clips."""

    def choose(clips):
        monkeypatch.setattr(benchmarks.people, "read_jhmdb_clips", lambda *_: clips)
        monkeypatch.setattr(benchmarks.people, "cut_out", lambda clip, _: [clip.film])
        return [film for (film,) in cast(Path())]

    return choose


def test_the_cast_is_of_all_actions_however_many_films_one_has(chosen):
    walkers = [clip("walk", f"walk{i}") for i in range(20)]
    others = [clip(action, f"{action}{i}") for i in range(2) for action in ("run", "golf", "stand")]
    films = chosen([*walkers, *others])
    assert len(films) == PEOPLE
    assert {other.film for other in others} < set(films)


def test_nobody_is_in_the_cast_twice(chosen):
    films = chosen([clip("walk", f"film{i % 6}") for i in range(12)])
    assert sorted(films) == [f"film{i}" for i in range(6)]


def test_too_few_whole_people_are_refused(chosen):
    small = [clip("walk", f"small{i}", height=60) for i in range(9)]
    cut = [clip("walk", f"cut{i}", full_body=False) for i in range(9)]
    short = [clip("walk", f"short{i}", frames=FRAMES_OF_EACH - 1) for i in range(9)]
    unsure = [clip("walk", f"unsure{i}", grade="B") for i in range(9)]
    with pytest.raises(DataError, match="Only 0 clips"):
        chosen([*small, *cut, *short, *unsure])
