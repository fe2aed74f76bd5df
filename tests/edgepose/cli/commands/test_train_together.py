"""``edgepose train`` by the real ``torchrun``."""

import json
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress

import cv2
import numpy as np
import psutil
import pytest

from edgepose.cli.main import main
from edgepose.training.checkpoint import load_checkpoint

RECIPE = """
name = "tiny"
phases = [{steps = 100000, size = 32, batch = 2}]
sources = [{kind = "coco", path = "coco"}]
network = {backbone = "mobilenet_v2", neck = 16}
fold_norms = true  # norms of many layers exchange much
checkpoint_minutes = 0.0
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def words(tmp_path):
    """Trains a recipe on one picture of a person."""
    (tmp_path / "coco" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "coco" / "images" / "1.jpg"), np.full((96, 96, 3), 90, np.uint8))
    joints = [value for i in range(17) for value in (20 + 3 * i, 20 + 3 * i, 2)]
    content = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 96, "height": 96}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": joints}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "coco" / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "tiny.toml").write_text(RECIPE)
    options = ["--data-root", str(tmp_path), "--out", str(tmp_path / "run"), "--workers", "1"]
    options += ["--num-threads", "1"]
    return ["train", str(tmp_path / "tiny.toml"), *options]


@contextmanager
def started(words, folder):
    """The run, with its standard output in a file; what still runs afterwards is killed."""
    command = [*TORCHRUN, "-m", "edgepose", *words]
    with (folder / "said").open("w") as said, (folder / "errors").open("w") as errors:
        run = psutil.Popen(command, stdout=said, stderr=errors)
        try:
            yield run
        finally:
            kill_with_children(run)


def kill_with_children(run):
    with suppress(psutil.NoSuchProcess):
        for process in [*run.children(recursive=True), run]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    run.wait()


def wait_for(path, run, seconds=100):
    """Wait for a file that another process writes."""
    give_up, pause = time.monotonic() + seconds, threading.Event()
    while not path.exists():
        assert run.poll() is None, "The run ended before it wrote a checkpoint."
        assert time.monotonic() < give_up, f"{path} was not written."
        pause.wait(0.02)


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_with_a_checkpoint_that_one_process_goes_on_from(words, tmp_path):
    with started(words, tmp_path) as run:
        wait_for(tmp_path / "run" / "checkpoint.pt", run)
        run.send_signal(signal.SIGINT)
        run.wait(timeout=60)
    said = (tmp_path / "said").read_text().splitlines()
    stopped = [line for line in said if line.startswith("Stopped")]
    assert len(stopped) == 1
    assert "Go on with: torchrun --standalone --nproc-per-node 2 -m edgepose train" in stopped[0]
    step = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"]
    assert main([*words, "--resume", "--max-minutes", "0"]) == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["step"] == step + 1


def test_recipes_of_one_process_are_refused(words, monkeypatch, capsys):
    numbers = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "MASTER_PORT": 1}
    for name, value in {**numbers, "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, str(value))
    assert main(["train", "dynamics/motion", *words[2:]]) == 2
    assert "run it without torchrun" in capsys.readouterr().err
