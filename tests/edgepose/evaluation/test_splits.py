import pytest

from edgepose.evaluation.data_sets import Selection
from edgepose.evaluation.splits import are_as_published, parts_of
from edgepose_runtime.errors import ConfigError

TESTS = ["test1", "test2", "test3"]


@pytest.mark.parametrize("data", ["sub-jhmdb", "full-jhmdb"])
def test_all_stands_for_every_test_split(data):
    parts = parts_of(Selection(data, split="all", limit=3))
    assert parts == [Selection(data, split=split, limit=3) for split in TESTS]


@pytest.mark.parametrize("selection", [Selection("sub-jhmdb"), Selection("penn", split="all")])
def test_other_selections_are_one_part(selection):
    assert parts_of(selection) == [selection]


def test_an_unknown_set_has_no_parts():
    with pytest.raises(ConfigError, match="coco"):
        parts_of(Selection("coco"))


def test_papers_report_on_all_of_every_test_split():
    assert are_as_published([Selection("penn")])
    assert are_as_published(parts_of(Selection("sub-jhmdb", split="all")))
    assert not are_as_published([Selection("sub-jhmdb", split="test3")])
    assert not are_as_published([Selection("jhmdb")])


@pytest.mark.parametrize(
    "fields", [{"split": "train"}, {"limit": 5}, {"full_body": True}, {"grade": "A"}]
)
def test_a_choice_of_clips_is_not_what_papers_report_on(fields):
    assert not are_as_published([Selection("penn", **fields)])
