"""What every test may use: the real data, the sample clip, a quiet machine."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

# Before any test imports a numeric library: small work is faster on one thread, and repeatable.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from hypothesis import settings

from edgepose.datasets.clips import Clip
from edgepose.datasets.root import data_root as find_data_root
from edgepose.testing import standing_person
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import PENN13

# Under nohup, and in the background of a script, these signals are ignored, and so they would be by
# every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The first example may compile a kernel, and machines differ: time says nothing here.
settings.register_profile("edgepose", deadline=None)
settings.load_profile("edgepose")

#: A test that hangs is interrupted once (`timeout` in pyproject.toml), and pytest no longer looks
#: at the time of one that failed: its teardown has a limit of its own.
LONGEST_TEARDOWN_S = 60

PROJECT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the real data, so that ``-m "not data"`` leaves it out."""
    for item in items:
        if "data_root" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.data)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need data which is missing; say what to do."""
    if item.get_closest_marker("data"):
        _data_root_or_skip()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Absolute path of the real data: EDGEPOSE_DATA, else ../shared/data."""
    return _data_root_or_skip()


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout that is tested."""
    return PROJECT


@pytest.fixture(scope="session")
def sample_clip() -> Path:
    """A real video of one person in front: 100 frames, 540x960, 60 frames per second."""
    return PROJECT / "samples" / "clips" / "balance.mp4"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """End a process whose teardown hangs, after showing its threads; other tests go on."""
    stderr = item.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(LONGEST_TEARDOWN_S, file=stderr, exit=True)
    try:
        return (yield)
    finally:  # pytest does so only where it has a timeout of its own
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Say how a worker of pytest-xdist ended: a negative number is that of a signal."""
    if error:
        with suppress(Exception):  # the process is a detail of execnet, which may change
            code = node.gateway._io.popen.wait(timeout=5)
            terminal = node.config.pluginmanager.get_plugin("terminalreporter")
            terminal.write_line(f"{node.gateway.id} ended with exit code {code}")


def _data_root_or_skip() -> Path:
    try:
        return find_data_root().resolve()
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture
def make_clip():
    """A function that makes a clip of T black frames and a person who walks to the right.

    Other fields of `Clip` may be given.
    """

    def make(num_frames=6, **fields):
        poses = [standing_person((120 + 2 * t, 120), height=120) for t in range(num_frames)]
        clip = Clip(
            name="walk",
            film="film",
            frames=lambda: iter(np.zeros((num_frames, 240, 320, 3), np.uint8)),
            keypoints=np.stack(poses),
            boxes=None,
            skeleton=PENN13,
            fps=25.0,
            split="val",
        )
        return replace(clip, **fields)

    return make
