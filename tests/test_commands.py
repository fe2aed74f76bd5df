"""Each command of the documents, in a folder without data: it works, or says what it needs."""

from __future__ import annotations

import shlex
from itertools import takewhile

import pytest

from edgepose.cli.main import main
from tests.test_readme import DOCUMENTS

#: What takes long even so, waits for a network, or runs until it is stopped.
LEFT_OUT = ("benchmark", "doctor", "serve", "rtsp://", "--remote-head")
COMMANDS = {line.partition(" #")[0].strip() for page in DOCUMENTS for line in page.commands()}


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPOSE_DATA", str(tmp_path / "data"))


@pytest.mark.parametrize(
    "line", [line for line in sorted(COMMANDS) if not any(word in line for word in LEFT_OUT)]
)
def test_it_ends_well_or_with_one_sentence(line, no_data, capsys):
    words = list(takewhile(lambda word: word != "|", shlex.split(line)))[1:]
    code = main(words)
    said = capsys.readouterr().err.strip().splitlines()
    assert code in (0, 1, 2)
    assert not any("Something went wrong" in each or "Traceback" in each for each in said)
    assert code == 0 or said[-1].startswith("edgepose: ")
