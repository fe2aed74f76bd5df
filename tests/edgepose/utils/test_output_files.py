import os
from pathlib import Path

import pytest

from edgepose.utils.output_files import check_writable


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_not_opened_by_the_check(tmp_path, monkeypatch):
    def must_not_open(*_, **__):
        raise AssertionError("its reader would take that for the end")

    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "open", must_not_open)
    check_writable(tmp_path / "pipe")
