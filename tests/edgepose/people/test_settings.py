from types import SimpleNamespace

import pytest

from edgepose.people.settings import SeveralPeople, follow_rule, people_settings
from edgepose_runtime.errors import ConfigError


def test_one_person_needs_no_settings():
    assert people_settings(1) is None
    assert people_settings(4).max_people == 4
    assert people_settings("all").max_people == 100
    assert people_settings(SeveralPeople(9)).max_people == 9


@pytest.mark.parametrize("bad", [0, -3, 101, 10**9, 2.5, True, "many", None])
def test_what_is_no_number_of_people_is_refused(bad):
    with pytest.raises(ConfigError, match="max_people must be"):
        people_settings(bad)


@pytest.mark.parametrize(
    "options",
    [
        {"max_people": 1},
        {"looks_per_frame": 0},
        {"remember_s": -1},
        {"predict_ms": float("nan")},
        {"detect_every_ms": float("inf")},
    ],
)
def test_options_outside_their_range_are_refused_by_name(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        SeveralPeople(**options)


PEOPLE = [
    SimpleNamespace(person_id=7, roi=(0, 0, 50, 50)),
    SimpleNamespace(person_id=3, roi=(90, 90, 20, 20)),
    SimpleNamespace(person_id=9, roi=(300, 300, 90, 90)),
]


@pytest.mark.parametrize(
    ("follow", "person"),
    [("longest", 3), ("largest", 9), ("centre", 3), (lambda people: people[0], 7)],
)
def test_the_main_person_is_chosen_by_a_rule_or_a_function(follow, person):
    assert follow_rule(follow, lambda: (200, 200))(PEOPLE).person_id == person


@pytest.mark.parametrize("bad", ["nearest", 3, None])
def test_an_unknown_rule_is_refused(bad):
    with pytest.raises(ConfigError, match="follow must be"):
        follow_rule(bad, lambda: (1, 1))
