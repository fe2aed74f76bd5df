"""A fork inside a loop over ``stream()``: the child is told, the parent goes on."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

PROGRAM = """
import itertools, os, signal, sys, time
import numpy as np
from edgepose import ClosedError, PoseTracker
from edgepose.testing import FakeMethod, fake_model
from edgepose_runtime.capture.live import LiveSource

class Camera:
    fps, finished = None, False
    def read(self):
        time.sleep(0.001)
        return np.zeros((64, 64, 3), np.uint8)
    def close(self):
        pass

def source():
    if {live}:
        return LiveSource("a camera", Camera)
    return (np.zeros((64, 64, 3), np.uint8) for _ in range(20))

def child(loop):
    signal.alarm(20)  # ends a child that waits for ever
    try:
        {step}
    except ClosedError as error:
        assert "fork" in str(error), error
        sys.exit(7)

loop = PoseTracker(fake_model(FakeMethod())).stream(source())
for count, _ in enumerate(loop):
    if count == 3:
        pid = os.fork()
        if not pid:
            child(loop)
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    if count == 15:
        break
loop.close()
assert count == 15
"""


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("step", ["next(loop); sys.exit(8)", "loop.close()"])
def test_the_child_is_refused_and_the_parent_goes_on(live, step):
    program = PROGRAM.format(live=live, step=step)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
