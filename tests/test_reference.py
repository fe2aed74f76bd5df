"""The reference has every public name, and nothing that is not public."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import edgepose
import edgepose.errors

PROJECT = Path(__file__).resolve().parent.parent
REFERENCE = PROJECT / "docs" / "reference"
#: Modules whose public names are in the reference, and those of them that are.
PUBLIC = {
    "edgepose": edgepose.__all__,
    "edgepose.errors": sorted(set(edgepose.errors.__all__) - set(edgepose.__all__)),
    "edgepose.sinks": edgepose.sinks.__all__,
    "edgepose.drawing": ["DrawingStyle", "DEFAULT_STYLE", "DEBUG_STYLE"],
    "edgepose.options": ["EngineOptions", "TrackingOptions"],
    "edgepose.testing": [
        *("Call", "FakeMethod", "PropagatingFakeMethod", "fake_model", "standing_person"),
    ],
}
NAMES = [f"{module}.{name}" for module, names in PUBLIC.items() for name in names]
MODULES = {"edgepose.sinks", "edgepose.errors", "edgepose.testing"}


def documented() -> list[str]:
    """The names of all autodoc directives."""
    pages = "".join(path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.md")))
    return re.findall(r"^\.\. auto\w+:: (\S+)$", pages, flags=re.MULTILINE)


def find(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def test_each_public_name_is_in_the_reference_once():
    assert sorted(documented()) == sorted({*NAMES, *MODULES})


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_has_a_docstring(name):
    described = find(name)
    if isinstance(described, (str, edgepose.drawing.DrawingStyle)):
        pytest.skip("a constant, which a comment describes")
    assert inspect.getdoc(described)
    for member, value in vars(described).items():
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            assert inspect.getdoc(getattr(described, member)), f"{name}.{member}"


def test_the_classes_of_testing_are_those_of_the_module():
    module = import_module("edgepose.testing")
    own = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    }
    assert own == set(PUBLIC["edgepose.testing"])
