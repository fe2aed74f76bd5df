"""What the README promises a newcomer can be typed as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)\b", README))))
def test_each_make_target_exists(target: str) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_each_subcommand_exists() -> None:
    named = {name for block in blocks("sh") for name in re.findall(r"^edgepose (\w+)", block, re.M)}
    offered = run("-m", "edgepose", "--help")
    assert {name for name in named if not re.search(rf"\b{name}\b", offered)} == set()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_each_link_leads_somewhere(link: str) -> None:
    assert (PROJECT / link).exists()


@pytest.mark.parametrize(
    "program", blocks("python"), ids=["track", "callbacks", "refining", "key frames"]
)
def test_each_python_example_tracks_the_sample_clip(program: str) -> None:
    lines = run("-c", program).splitlines()
    assert sum(re.match(r"\d+ ", line) is not None for line in lines) == 100
