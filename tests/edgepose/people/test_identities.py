import re

from hypothesis import given
from hypothesis import strategies as st

from edgepose.people.identities import Identities

ACTIONS = st.lists(st.tuples(st.sampled_from(["enter", "lose", "find", "leave"]), st.integers(0)))
#: First letters of the kinds: entered, lost and found in turns, lost and left.
HISTORY = re.compile(r"e(lf)*(l|lL)?")
LETTERS = {"entered": "e", "lost": "l", "found": "f", "left": "L"}


@given(ACTIONS)
def test_events_of_each_identity_come_in_order_and_identities_only_count_up(actions):
    identities, present, entered = Identities(), [], []
    for action, choice in actions:
        if action == "enter":
            entered.append(identities.enter(0.0))
            present.append(entered[-1])
        elif present:
            person = present[choice % len(present)]
            getattr(identities, action)(person, 0.0)
            if action == "leave":
                present.remove(person)
    assert entered == list(range(1, len(entered) + 1))
    histories = dict.fromkeys(entered, "")
    for event in identities.take_events():
        histories[event.person_id] += LETTERS[event.kind.value.removeprefix("person_")]
    for person, history in histories.items():
        assert HISTORY.fullmatch(history), history
        assert history.endswith("L") == (person not in present)
    assert identities.take_events() == []


def test_an_event_says_what_happened_to_whom_and_when():
    identities = Identities()
    identities.lose(identities.enter(10.0), 50.0)
    entered, lost = identities.take_events()
    assert (entered.timestamp_ms, entered.detail) == (10, "Person 1 entered.")
    assert (lost.timestamp_ms, lost.detail) == (50, "Person 1 was lost.")
