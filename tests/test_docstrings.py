"""``help(edgepose)`` and the examples in docstrings of public names."""

from __future__ import annotations

import doctest
import inspect

import pytest

import edgepose
from tests.test_reference import NAMES, find

CLIP = "samples/clips/balance.mp4"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
WITH_EXAMPLE = [name for name in NAMES if ">>> " in (inspect.getdoc(find(name)) or "")]
#: Where to start: their docstrings have an example.
FIRST_NAMES = ["PoseTracker", "TrackerPool", "PoseResult", "load", "open_source", "read_poses"]


@pytest.fixture(scope="module")
def first_frame(project_root):
    with edgepose.PoseTracker("ppn-swift") as tracker:
        stream = tracker.stream(project_root / CLIP, with_frames=True)
        return next(iter(stream))


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_the_example_of_a_docstring_runs_and_prints_what_it_says(
    name, first_frame, project_root, tmp_path, monkeypatch
):
    (tmp_path / "samples").symlink_to(project_root / "samples")
    monkeypatch.chdir(tmp_path)
    frame, result = first_frame
    known = {"edgepose": edgepose, "frame": frame, "result": result, "clip": CLIP}
    known[name.rpartition(".")[2]] = find(name)
    parsed = doctest.DocTestParser().get_doctest(inspect.getdoc(find(name)), known, name, None, 0)
    report: list[str] = []
    failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(parsed, out=report.append)
    assert tried
    assert not failed, "".join(report)


@pytest.mark.parametrize("name", FIRST_NAMES)
def test_the_names_to_start_with_have_an_example(name):
    assert f"edgepose.{name}" in WITH_EXAMPLE


@pytest.mark.parametrize("name", sorted({*edgepose.__all__} - {"__version__"}))
def test_help_names_each_public_name_on_its_first_page(name):
    assert name in edgepose.__doc__


def test_the_first_page_of_help_fits_on_a_screen():
    assert len(edgepose.__doc__.splitlines()) <= 45
