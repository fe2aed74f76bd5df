"""The same rows on a Ray cluster, also when a node of it is killed."""

import logging
import os
import random
import shutil
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from archive_fakes import InlineEngine, archive, expected_rows

import edgepose
from edgepose.archive.driver import Limits
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.archive.settings import CutSettings

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # else Ray writes a token to the home folder
ray = pytest.importorskip("ray", reason="needs Ray: pip install edgepose[ray]")
from edgepose.archive.engines.ray import RayEngine  # noqa: E402
from edgepose_runtime.errors import ConfigError  # noqa: E402

pytestmark = pytest.mark.slow

#: Where workers find the fakes.
PATHS = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
OPTIONS = {"runtime_env": {"env_vars": {"PYTHONPATH": PATHS}}, "log_to_driver": False}


#: How many times nodes are killed, each time at other moments.
RUNS = int(os.environ.get("EDGEPOSE_FAULT_RUNS", "1"))


@pytest.fixture
def local_cluster():
    ray.init(num_cpus=2, include_dashboard=False, **OPTIONS)
    yield
    ray.shutdown()


@pytest.fixture
def three_nodes():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    others = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, **OPTIONS)
    yield cluster, others
    ray.shutdown()
    cluster.shutdown()


def test_rows_and_failures_are_those_of_this_machine(local_cluster, videos, tmp_path, rows_of):
    source = videos(a="walk 12", b="broken", c="crash 20", d="walk 30")
    report = archive(source, tmp_path / "out", engine=RayEngine)
    assert (report.units, report.failed) == (3, 1)
    assert rows_of(tmp_path / "out") == expected_rows(source)


def test_a_video_that_hangs_ends_with_its_actor(local_cluster, videos, tmp_path, rows_of):
    source, out = videos(a="hang", b="walk 10"), tmp_path / "out"
    limits = Limits(tries=1, stall_timeout_s=10.0)
    report = archive(source, out, workers=1, engine=RayEngine, limits=limits)
    assert (report.units, report.failed) == (1, 1)
    assert rows_of(out) == [row for row in expected_rows(source) if row[0] == "b.mp4"]


def test_a_killed_node_costs_its_running_units_only(three_nodes, videos, tmp_path, rows_of):
    cluster, others = three_nodes
    source = videos(**{f"v{number}": "walk 40" for number in range(9)})

    def kill_a_node(run):
        if len(others) == 2 and run.report.units >= 2 and all(state.ready for state in run.workers):
            cluster.remove_node(others.pop(), allow_graceful=False)

    report = archive(
        source, tmp_path / "out", workers=3, frame_s=0.05, engine=RayEngine, observe=kill_a_node
    )
    assert len(others) == 1
    assert (report.units, report.failed) == (9, 0)
    assert rows_of(tmp_path / "out") == expected_rows(source)


@pytest.mark.parametrize("seed", range(RUNS))
def test_nodes_killed_at_random_times_leave_no_trace(seed, three_nodes, videos, tmp_path, rows_of):
    """Kill -9 of one node after the other, while the workers start, track or finish."""
    rng = random.Random(seed)
    lengths = [rng.randint(1, 60) for _ in range(12)]
    source = videos(**{f"v{number}": f"walk {length}" for number, length in enumerate(lengths)})
    kills = Kills(*three_nodes, rng, sum(lengths))
    report = archive(
        source, tmp_path / "out", workers=3, frame_s=0.03, engine=RayEngine, observe=kills.watch
    )
    kills.end()
    assert (report.units, report.failed) == (12, 0)
    assert rows_of(tmp_path / "out") == expected_rows(source)
    assert not list((tmp_path / "out").rglob(".*.part"))


class Kills:
    """Kills each node within a second after a random part of the frames was read."""

    def __init__(self, cluster, nodes, rng, frames):
        self._cluster, self._rng = cluster, rng
        self._nodes = [(rng.randrange(frames), node) for node in nodes]
        self._timers = []

    def watch(self, run):
        frames = run.report.frames + sum(state.frames for state in run.workers if state.unit)
        for at, node in [pair for pair in self._nodes if pair[0] <= frames]:
            self._nodes.remove((at, node))
            self._timers.append(threading.Timer(self._rng.random(), self._kill, [node, run]))
            self._timers[-1].start()

    def _kill(self, node, run):
        states = [state.ready + bool(state.unit) for state in run.workers]
        logging.getLogger(__name__).warning(
            "Killed a node: %d units done, workers %s", run.report.units, states
        )
        self._cluster.remove_node(node, allow_graceful=False)

    def end(self):
        """Wait for kills that are due, and let the others be."""
        for timer in self._timers:
            timer.join()


def test_poses_of_three_nodes_are_those_of_this_machine(three_nodes, sample_clip, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(sample_clip, films / name)
    cut = CutSettings(frames_per_unit=40, overlap=30)
    here, there = (
        poses_of(ArchiveJob(str(films), tmp_path / name, cut=cut), engine, workers)
        for name, engine, workers in (("here", InlineEngine, 1), ("there", RayEngine, 3))
    )
    for name in ("video", "frame", "timestamp_ms", "person_id", "keypoints", "score", "origin"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


def poses_of(job, engine, workers):
    report = run_archive(job, engine, workers)
    assert (report.units, report.failed) == (6, 0)
    return edgepose.read_poses(job.out)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"no Ray cluster at '127\.0\.0\.1:1': Could not .* 'ray start --head'"),
        (None, r"Ray does not start on this machine: Could not .* Use --engine local"),
    ],
)
def test_without_a_cluster_an_error_says_what_to_do(
    videos, tmp_path, monkeypatch, address, message
):
    def refuse(**_):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", refuse)
    engine = partial(RayEngine, address=address)
    with pytest.raises(ConfigError, match=message):
        archive(videos(a="walk 2"), tmp_path / "out", engine=engine)
