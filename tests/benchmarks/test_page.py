"""The page of the last benchmark says what its JSON says."""

from __future__ import annotations

import json

import pytest

from benchmarks.page.command import PAGE, PICTURE, SOURCE, main, page_of
from benchmarks.page.rows import read_benchmark, rows_of
from edgepose_runtime.errors import DataError


@pytest.fixture
def content():
    return json.loads(SOURCE.read_text(encoding="utf-8"))


def test_the_committed_page_and_picture_are_those_of_the_committed_json(tmp_path, project_root):
    main(["--out", str(tmp_path)])
    for name in (PAGE, PICTURE):
        drawn, committed = (folder / name for folder in (tmp_path, project_root / "docs"))
        assert drawn.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


def test_the_page_follows_the_json(content):
    first = next(model for model in content["models"] if model["part"] == "step")
    first["milliseconds"]["total"]["p50"] = 98.76
    assert "| 98.76 |" in page_of(content)


def test_each_model_is_a_row(content):
    page = page_of(content)
    for row in rows_of(content):
        assert f"| {row.name} | {row.precision} | {row.threads} |" in page


def test_what_was_not_measured_is_a_dash_and_who_is_missing_is_named(content):
    content["accuracy"] = None
    content["skipped"] = [{"name": "BlazePose", "reason": "no weights."}]
    for model in content["models"]:
        model["pck"] = None
    page = page_of(content)
    assert "Left out: BlazePose: no weights." in page
    assert page.count("| - | - |") >= len(rows_of(content))


@pytest.mark.parametrize("text", ["", "[]", '{"format": "edgepose.poses", "version": 1}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match="benchmark"):
        read_benchmark(path)
