"""The blocks of each tutorial run one after another, in a folder with the samples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_readme import PROJECT, assert_printed

TUTORIALS = sorted((PROJECT / "docs" / "tutorials").glob("*.md"))
#: Packages that the blocks of a tutorial need.
NEEDED = {
    "archives-on-ray": ["pyarrow"],
    "convert-a-checkpoint": ["torch", "onnx", "onnxruntime"],
    "four-cameras": ["prometheus_client"],
    "head-on-a-server": ["tritonclient.grpc"],
}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]+) -->\n)?^```(?P<kind>sh|python|toml)\n(?P<code>.*?)^```\n"
    r"(?:```text\n(?P<output>.*?)^```\n)?",
    flags=re.MULTILINE | re.DOTALL,
)
_EDGEPOSE = 'edgepose() { python -m edgepose "$@"; }\n'


@dataclass(frozen=True)
class Block:
    """A block of code, and what it prints."""

    kind: str
    code: str
    output: str | None
    note: str

    @property
    def is_executed(self) -> bool:
        return not self.note.startswith("not executed: ")


def blocks_of(path: Path) -> list[Block]:
    found = _BLOCK.finditer(path.read_text(encoding="utf-8"))
    return [Block(m["kind"], m["code"], m["output"], m["note"] or "") for m in found]


def run_shell(code: str) -> str:
    """Run commands in the current folder, with the edgepose of this checkout."""
    python = str(Path(sys.executable).parent)
    paths = [str(PROJECT / part) for part in ("", "runtime", "converters")]
    env = os.environ | {
        "PATH": os.pathsep.join([python, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = ["bash", "-ec", _EDGEPOSE + code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_each_block_of_a_tutorial_runs_after_the_one_before(path, tmp_path, monkeypatch, capsys):
    for package in NEEDED.get(path.stem, ()):
        pytest.importorskip(package)
    (tmp_path / "samples").symlink_to(PROJECT / "samples")
    monkeypatch.chdir(tmp_path)
    for block in filter(lambda each: each.is_executed, blocks_of(path)):
        if block.kind == "python":
            exec(compile(block.code, path.name, "exec"), {"__name__": "__main__"})
            printed = capsys.readouterr().out
        else:
            printed = run_shell(block.code)
        if block.output is not None:
            assert_printed(printed, block.output)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_what_is_not_executed_says_why(path):
    notes = [block.note for block in blocks_of(path)]
    assert all(note == "" or note.startswith(("not executed: ", "continues")) for note in notes)


def test_each_tutorial_is_listed():
    index = (PROJECT / "docs" / "tutorials" / "index.md").read_text(encoding="utf-8")
    assert [p.name for p in TUTORIALS if f"]({p.name})" not in index and p.stem != "index"] == []
