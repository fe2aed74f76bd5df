"""Licence files: a copyright holder, and an attribution of all weights that ours come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgepose.cli.main import main
from edgepose.inference.model import available_models, bundle_path
from edgepose_runtime.bundles.bundle import load_bundle

PROJECT = Path(__file__).resolve().parent.parent
HOLDER = "Copyright 2026 The edgepose authors"
#: What the weights of a bundle started from, and whose that is, where it is not MoveNet.
STARTS = dict.fromkeys(("ppn-stable", "ppn-stable-float"), ("RTMPose-s", "OpenMMLab"))
NOTICE = (PROJECT / "NOTICE").read_text()


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_the_holder_of_the_copyright_is_named(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert HOLDER in text
    assert "[yyyy]" not in text


def test_both_files_go_into_the_wheel() -> None:
    pyproject = (PROJECT / "pyproject.toml").read_text()
    assert re.search(r'^license-files = \["LICENSE", "NOTICE"\]$', pyproject, re.MULTILINE)


@pytest.mark.parametrize("name", available_models())
def test_weights_that_started_from_others_are_attributed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work, holder = STARTS.get(name, ("MoveNet Lightning", "Google"))
    manifest = load_bundle(bundle_path(name)).manifest
    assert work in str(manifest.training["start"])
    shipped = NOTICE.partition("Bundles that users make")[0]
    assert re.search(rf"\b{name}\b", shipped)
    assert work.split()[0] in shipped
    assert "see NOTICE" in str(manifest.licence["start"])
    assert main(["models", name]) == 0
    assert f"derived from {work} by {holder}" in capsys.readouterr().out


def test_works_that_conversions_read_are_attributed() -> None:
    made = NOTICE.partition("Bundles that users make")[2]
    for option, holder in (("--from movenet", "Google"), ("--head rtmpose:", "Open-MMLab")):
        assert option in made
        assert holder in made
