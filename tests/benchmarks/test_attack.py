"""The short form of ``python -m benchmarks attack``, with fixed seeds, and how it finds things."""

import itertools
import os
import queue
import random
import sys

import pytest

from benchmarks.attack import child, children, main
from benchmarks.attack.kinds import KINDS
from benchmarks.attack.outcome import (
    CRASHED,
    DONE,
    HUNG,
    LEAKED,
    REFUSED,
    TOO_LARGE,
    UNTYPED,
    Input,
    Report,
    attempt,
)
from edgepose_runtime.errors import ConfigError, DataError

#: Inputs of each kind: some seconds of them.
SHORT = {"calls": 250, "commands": 40, "files": 300}


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_is_done_or_refused_with_an_error_of_ours(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPOSE_DATA", "")  # what the inputs set is undone afterwards
    bad = []
    for seed in range(SHORT[kind]):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.chdir(folder)
        given = KINDS[kind](random.Random(seed), folder)
        outcome = attempt(given)
        if outcome.end == UNTYPED:
            bad.append((seed, given.name, outcome.detail))
    assert not bad


@pytest.mark.parametrize(
    ("run", "end"),
    [
        (lambda: None, DONE),
        (lambda: (_ for _ in ()).throw(ConfigError("It is none.")), REFUSED),
        (lambda: 1 / 0, UNTYPED),
    ],
)
def test_how_an_input_ends_is_told(run, end):
    assert attempt(Input("a call", lambda: list(run() or ()))).end == end


def test_what_crashes_or_hangs_a_process_is_reported_and_the_rest_goes_on(monkeypatch):
    """Instead of the real inputs, a process that says what ours would say."""
    program = (
        "import json, os, sys, time\n"
        "for seed in map(int, sys.argv[1:]):\n"
        "    report = {'kind': 'k', 'seed': seed}\n"
        "    say = lambda end: print(json.dumps({**report, 'end': end}), flush=True)\n"
        "    say('begun')\n"
        "    if seed == 1: os.abort()\n"
        "    if seed == 3: time.sleep(60)\n"
        "    say('done')\n"
    )
    started = children.subprocess.Popen

    def start(words, **options):
        return started([words[0], "-c", program, *words[4:]], **options)

    monkeypatch.setattr(children.subprocess, "Popen", start)
    monkeypatch.setattr(children, "INPUT_S", 1.0)
    reports = children.run_inputs("k", range(5), batch=10)
    assert {report.seed: report.end for report in reports} == {
        0: DONE, 1: CRASHED, 2: DONE, 3: HUNG, 4: DONE,
    }  # fmt: skip


def test_a_failure_ends_the_long_form_with_an_error(monkeypatch, tmp_path, capsys):
    reports = [Report("calls", 0, DONE), Report("calls", 1, UNTYPED, "KeyFrames(1)", "KeyError")]
    monkeypatch.setattr("benchmarks.attack.long_form.run_inputs", lambda *_: reports)
    with pytest.raises(DataError, match="1 of 2 inputs"):
        main(["--inputs", "2", "--kinds", "calls", "--out", str(tmp_path)])
    assert "KeyFrames(1)" in capsys.readouterr().out
    assert (tmp_path / "attack.json").exists()


def test_a_child_process_reports_every_input():
    reports = children.run_inputs("calls", range(8), batch=4)
    assert [report.seed for report in reports] == list(range(8))
    assert not any(report.is_failure for report in reports)


@pytest.fixture
def kind(monkeypatch, tmp_path):
    """Makes a kind of input of a function."""
    monkeypatch.chdir(tmp_path)  # what the inputs set is undone afterwards

    def kind(do):
        monkeypatch.setitem(KINDS, "test", lambda *_: Input("an input", do))
        return "test"

    return kind


def test_what_an_input_takes_at_its_peak_is_measured(kind, monkeypatch):
    monkeypatch.setattr(child, "MOST_MEMORY", 32 << 20)
    said = []
    assert child.run_input(kind(lambda: b"x" * (256 << 20)), 0, said.append).end == TOO_LARGE
    assert child.run_input(kind(lambda: b"x" * (1 << 20)), 0, said.append).end == DONE
    assert [report.end for report in said] == ["begun"] * 2


@pytest.mark.parametrize(
    ("opens", "end"),
    [([0, 0, 20, 0, 0, 0], DONE), ([5] * 6, LEAKED)],
    ids=["once, as libraries do", "each time"],
)
def test_what_grows_each_time_is_a_leak(kind, monkeypatch, opens, end):
    monkeypatch.setattr(child, "WARM", 0)
    held, left = [], list(opens)

    def do():
        held.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(left.pop(0)))

    said = []
    child.run_all(kind(do), range(3), said.append)
    for descriptor in held:
        os.close(descriptor)
    ends = [report.end for report in said if report.end != "begun"]
    assert ends == [DONE, DONE, end]
    assert not left  # all of them ran again


def test_time_in_which_others_have_the_processor_does_not_count(monkeypatch):
    lines = queue.SimpleQueue()
    times = itertools.chain([0.0, 0.0], itertools.repeat(1000.0))

    def waited_s(_pid):
        if (waited := next(times)) > 0:
            lines.put("late")
        return waited

    monkeypatch.setattr(children, "waited_s", waited_s)
    assert children._next_line(lines, 0, 0.01) == "late"
    monkeypatch.setattr(children, "waited_s", lambda _: 1000.0)
    with pytest.raises(queue.Empty):
        children._next_line(queue.SimpleQueue(), 0, 0.01)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts it")
def test_linux_tells_how_long_a_process_waited():
    assert children.waited_s(os.getpid()) > 0
    assert children.waited_s(2**22 + 1) == 0  # there is no such process
