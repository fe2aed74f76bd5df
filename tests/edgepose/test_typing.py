"""What type checkers find in programs that use the trackers."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from edgepose.options import TrackingOptions
from edgepose.people.settings import FollowRule
from edgepose.remote import HeadLocal
from edgepose.streaming.flow_control import PolicyName, make_policy
from edgepose_runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
#: A program with mistakes, each in a line that says which argument they are in.
PROGRAM = """
from edgepose import Person, PoseResult, PoseTracker, TrackerPool

def show(result: PoseResult) -> None: ...
def show_named(name: str, result: PoseResult) -> None: ...

found: list[PoseResult] = []
PoseTracker(policy="latest", follow="largest", refine="thin-slicing", on_result=show)
PoseTracker(head_local="never", key_frames="auto", max_people="all", on_result=found.append)
PoseTracker(follow=lambda people: people[0], on_drop=print, on_error=None)
TrackerPool(policy="every-frame", on_result=show_named, on_event=lambda name, event: None)

PoseTracker(policy="newest")  # policy
PoseTracker(follow="biggest")  # follow
PoseTracker(follow=show)  # follow
PoseTracker(refine="thin")  # refine
PoseTracker(head_local="always")  # head_local
PoseTracker(key_frames="yes")  # key_frames
PoseTracker(max_people="some")  # max_people
PoseTracker(on_result=show_named)  # on_result
PoseTracker(on_event=show)  # on_event
TrackerPool(on_result=show)  # on_result
TrackerPool(on_result=show_named, policy="newest")  # policy
TrackerPool(on_result=show_named, on_drop=show_named)  # on_drop
TrackerPool(on_frame=show_named)  # on_frame
"""


def test_the_names_of_the_types_are_those_that_are_accepted():
    for policy in get_args(PolicyName):
        make_policy(policy)
    with pytest.raises(ConfigError, match=f"choose one of {', '.join(get_args(PolicyName))}\\."):
        make_policy("newest")
    for follow in get_args(FollowRule):
        TrackingOptions(follow=follow)
    for local in get_args(HeadLocal):
        TrackingOptions(head_local=local)
    TrackingOptions(refine="thin-slicing")
    TrackingOptions(key_frames="auto")
    TrackingOptions(max_people="all")


@pytest.mark.slow
def test_mypy_finds_each_wrong_argument_and_nothing_else(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    cache = ("--cache-dir", str(PROJECT / ".mypy_cache"))
    command = [sys.executable, "-m", "mypy", *cache, "--strict", str(program)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    found = dict(re.findall(r'program\.py:(\d+): error: Argument "(\w+)"', done.stdout))
    lines = enumerate(PROGRAM.splitlines(), start=1)
    wrong = {str(number): line.split("# ")[1] for number, line in lines if "# " in line}
    assert found == wrong, done.stdout + done.stderr
    assert done.stdout.count("error:") == len(wrong), done.stdout
