"""The pictures of the documentation: drawn by their command, small, and all of them used."""

from __future__ import annotations

import re

import pytest

from benchmarks.figures.command import FIGURES, IMAGES, main

#: Drawn without a network: nothing in them depends on the processor.
DIAGRAMS = ("bundle.svg", "frame-path.svg", "late-answers.svg")
MOST_BYTES = 1_500_000


def test_diagrams_are_those_that_the_command_draws(tmp_path):
    main([*DIAGRAMS, "--out", str(tmp_path)])
    for name in DIAGRAMS:
        drawn, committed = (folder / name for folder in (tmp_path, IMAGES))
        assert drawn.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_time_line_shows_how_few_frames_the_networks_see(tmp_path):
    main(["key-frames.svg", "--out", str(tmp_path)])
    drawn = (tmp_path / "key-frames.svg").read_text(encoding="utf-8")
    (shown,) = re.findall(r"networks on (\d+) of 100 frames", drawn)
    assert 10 < int(shown) < 40


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_on_a_page(name, project_root):
    pages = [*project_root.glob("docs/**/*.md"), project_root / "README.md"]
    assert any(f"images/{name})" in page.read_text(encoding="utf-8") for page in pages)


def test_figures_are_small():
    assert sum((IMAGES / name).stat().st_size for name in FIGURES) < MOST_BYTES


def test_an_unknown_figure_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing.svg"])
    assert "there is no figure nothing.svg" in capsys.readouterr().err
