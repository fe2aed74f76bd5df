"""A real Triton on this machine: served, asked by trackers, killed, frozen and replaced."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepose import EventKind, PoseTracker, RemoteHead, ServerSettings
from edgepose.inference.model import PoseModel, bundle_path, load
from edgepose_converters.triton.config import ServingOptions
from edgepose_converters.triton.environment import TritonEnvironment, default_folder
from edgepose_converters.triton.repository import write_repository
from edgepose_converters.triton.server import Endpoints, TritonServer
from edgepose_runtime.backends import BackendSettings
from edgepose_runtime.backends.triton import TritonBackend
from edgepose_runtime.bundles.bundle import Bundle, load_bundle, write_bundle
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import BackendUnavailableError, ServerError
from tests.servers import free_port

triton = pytest.importorskip("tritonclient.grpc")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException
pytestmark = pytest.mark.slow

OPTIONS = ServingOptions(platform="python", device="cpu", max_batch=4, queue_delay_us=50_000)
#: Waits for company, however slowly the trackers of a busy machine ask.
SOCIABLE = replace(OPTIONS, queue_delay_us=5_000_000)
#: Nothing here takes longer on a machine that is not overloaded.
LONGEST_S = 100.0
# Patient with answers, on a machine that may be busy; quick to notice that a server is back.
PATIENT = ServerSettings(deadline_s=60, first_rest_s=0.05, longest_rest_s=0.2)
HASTY = replace(PATIENT, deadline_s=2.0, failures=2)


@pytest.fixture(scope="module")
def environment() -> TritonEnvironment:
    found = TritonEnvironment(default_folder())
    try:
        _ = found.packages
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    return found


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(bundle_path("ppn-swift"))


@pytest.fixture(scope="module")
def light(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped bundle, with its body as head too, so that a server answers quickly."""
    manifest = bundle.manifest
    graphs = {name: bundle.graph_path(name).read_bytes() for name in manifest.graphs}
    folder = tmp_path_factory.mktemp("bundles") / "light"
    contents = {**graphs, "head": graphs["body"]}
    return write_bundle(folder, replace(manifest, name="light"), contents)


@pytest.fixture(scope="module")
def model(light: Bundle) -> Iterator[PoseModel]:
    with load(light.path, num_threads=1) as model:
        yield model


@pytest.fixture
def start(environment, tmp_path) -> Iterator:
    """Starts a Triton; another one on the same ports when called again."""
    endpoints = Endpoints(grpc=free_port(), http=free_port(), metrics=free_port())
    servers = []
    folders = (tmp_path / f"models-{index}" for index in itertools.count())

    def start(bundle: Bundle, *extra: str, options: ServingOptions = OPTIONS) -> TritonServer:
        folder = next(folders)
        write_repository(bundle, folder, options)
        server = TritonServer(environment, folder, endpoints, extra, log=tmp_path / "log.txt")
        servers.append(server)
        server.start(180)
        until(lambda: has_metrics(server))
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def frames(sample_clip):
    with open_source(sample_clip) as source:
        return [frame.image for frame in itertools.islice(source, 40)]


def has_metrics(server: TritonServer) -> bool:
    """Whether its last service is up, which is after its models are ready."""
    try:
        return bool(server.metrics())
    except OSError:
        return False


def address(server: TritonServer) -> str:
    return f"grpc://127.0.0.1:{server.endpoints.grpc}"


class Walk:
    """Tracks the clip to and fro, one frame per call."""

    def __init__(self, tracker: PoseTracker, frames) -> None:
        self._tracker = tracker
        self._frames = itertools.cycle([*frames, *frames[-2:0:-1]])
        self._now = 0.0

    def step(self):
        self._now += 1000 / 60
        return self._tracker.track(next(self._frames), timestamp_ms=self._now)

    def until(self, reached):
        """Track until something is the case; every frame has its pose meanwhile."""
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            result = self.step()
            assert result.keypoints is not None
            if reached(result):
                return result
            threading.Event().wait(0.005)  # a camera is slower than this, too
        raise AssertionError(f"It did not come to that: {self._tracker.stats.head}")


def test_answers_are_those_of_the_same_graph_here(start, light, model, frames):
    size = light.manifest.input.size
    crop = np.ascontiguousarray(frames[0][:size, :size])
    graph = light.graph_path("head")
    server = start(light)
    settings = BackendSettings(device=address(server))
    with (
        TritonBackend(PATIENT).load(graph, settings=settings) as remote,
        load(light.path, precision="float32") as here,
    ):
        answer = remote.infer({"image": crop[None]})["heatmaps"][0]
        local = here.method.locate(crop, None)
    np.testing.assert_allclose(answer, local, atol=1e-4)


def test_late_answers_are_merged_through_kill_freeze_and_restart(start, light, model, frames):
    events = []
    server = start(light)
    head = RemoteHead(address(server), server=HASTY, remembered=200)
    options = {"reinitialise_every": 5, "head_local": "never", "on_event": events.append}
    with PoseTracker(model, head=head, **options) as tracker:
        walk = Walk(tracker, frames)
        assert walk.step().head_age_ms is None  # it started without waiting
        walk.until(lambda result: result.head_age_ms is not None)

        server.kill()
        walk.until(lambda _: kinds(events) == ["head_lost"])
        server.start(180)
        walk.until(lambda _: kinds(events) == ["head_lost", "head_reconnected"])

        server.send(signal.SIGSTOP)
        walk.until(lambda _: len(events) == 3)
        server.send(signal.SIGCONT)
        if not server.is_alive():  # some Tritons do not survive a long freeze of their helpers
            server.start(180)
        walk.until(lambda _: len(events) == 4)
        merged = tracker.stats.head.merged
        walk.until(lambda _: tracker.stats.head.merged > merged)

        assert kinds(events) == ["head_lost", "head_reconnected"] * 2
        stats = tracker.stats.head
        assert set(stats.failed) <= {"unreachable", "timeout", "circuit_open", "overloaded"}
    assert not [t for t in threading.enumerate() if t.name == "edgepose-server"]


def test_a_server_that_comes_back_with_another_model_is_not_believed(start, light, model, frames):
    events = []
    server = start(light)
    head = RemoteHead(address(server), server=HASTY)
    options = {"reinitialise_every": 3, "head_local": "never", "on_event": events.append}
    with PoseTracker(model, head=head, **options) as tracker:
        walk = Walk(tracker, frames)
        walk.until(lambda _: tracker.stats.head.latency is not None)
        server.kill()
        walk.until(lambda _: kinds(events) == ["head_lost"])
        other = write_bundle(
            light.path.parent / "other",
            replace(light.manifest, reinitialise_every=7),
            {
                **{name: light.graph_path(name).read_bytes() for name in light.manifest.graphs},
                "head": other_head(light),
            },
        )
        start(other)
        walk.until(lambda _: tracker.stats.head.failed.get("wrong_model", 0) >= 2)
        assert kinds(events) == ["head_lost"]


def test_a_server_that_was_never_there_keeps_nobody_from_tracking(model, frames):
    head = RemoteHead(f"grpc://127.0.0.1:{free_port()}", server=HASTY)
    with PoseTracker(model, head=head, reinitialise_every=5) as tracker:
        walk = Walk(tracker, frames)
        walk.until(lambda result: result.head_age_ms is not None)  # the own head stepped in
        assert tracker.stats.head.merged == 0


def test_triton_checks_the_token(start, light, caplog):
    server = start(
        light,
        "--grpc-restricted-protocol=inference,model-config,metadata:authorization=Bearer hush",
    )
    graph = light.graph_path("head")
    device = BackendSettings(device=address(server))
    size, cells = light.manifest.input.size, light.manifest.heatmap.size
    crop = np.zeros((1, size, size, 3), np.uint8)
    with TritonBackend(replace(PATIENT, token="hush")).load(graph, settings=device) as network:
        assert network.infer({"image": crop})["heatmaps"].shape == (1, 13, cells, cells)
    with pytest.raises(ServerError) as caught:
        TritonBackend(replace(PATIENT, token="wr0ng")).load(graph, settings=device)
    assert str(caught.value.fault) == "refused"
    assert "wr0ng" not in caplog.text + str(caught.value)


def test_triton_talks_tls(start, light, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", str(key), "-out", str(certificate),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl cannot make a certificate here: {error}")
    server = start(
        light,
        "--grpc-use-ssl=1",
        f"--grpc-server-cert={certificate}",
        f"--grpc-server-key={key}",
    )
    device = BackendSettings(device=address(server).replace("grpc:", "grpcs:"))
    trusting = replace(PATIENT, root_certificates=certificate)
    graph = light.graph_path("head")
    TritonBackend(trusting).load(graph, settings=device).close()
    with pytest.raises(ServerError):
        TritonBackend(replace(PATIENT, deadline_s=5)).load(graph, settings=device)


def test_requests_of_several_trackers_are_joined(start, light, model, frames):
    server = start(light, options=SOCIABLE)
    before = server.metrics()
    with contextlib.ExitStack() as open_trackers:
        trackers = [
            open_trackers.enter_context(
                PoseTracker(model, head=RemoteHead(address(server), server=PATIENT))
            )
            for _ in range(4)
        ]
        for tracker in trackers:  # one request each, and the server waits until all four are there
            assert tracker.track(frames[0]).keypoints is not None
        until(lambda: all(tracker.stats.head.merged for tracker in trackers))

    def grown(name: str) -> float:
        return server.metrics()[name] - before[name]

    until(lambda: grown("nv_inference_count") >= 4 and grown("nv_inference_exec_count"))
    assert grown("nv_inference_exec_count") == 1


@pytest.fixture
def long_clip(sample_clip, tmp_path):
    """Return the sample clip, smaller and three times over: a server answers before its end."""
    capture, clip = cv2.VideoCapture(str(sample_clip)), tmp_path / "long.avi"
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.resize(read[1], None, fx=0.5, fy=0.5))
    size = frames[0].shape[1::-1]
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 60, size)
    for frame in 3 * frames:
        writer.write(frame)
    writer.release()
    return clip


def test_the_sample_with_four_cameras_shows_joined_requests(start, bundle, long_clip):
    server = start(bundle, options=replace(OPTIONS, queue_delay_us=500_000))
    sample = Path(__file__).parents[1] / "samples" / "four_cameras_one_server.py"
    metrics = server.endpoints.url("metrics", metrics=True)
    command = [sys.executable, str(sample), address(server), metrics, str(long_clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = re.search(r"answered (\d+) requests in (\d+) inferences", done.stdout)
    assert said is not None
    assert int(said[1]) > int(said[2]) > 0
    # A file is played at its own speed, which gives answers the time to come.
    assert re.search(r" [1-9]\d* answers merged", done.stdout), done.stdout


@contextlib.contextmanager
def serving(environment, bundle, errors):
    """``edgepose serve`` with its GRPC and HTTP ports; its standard error goes to a file."""
    ports = [str(free_port()) for _ in range(3)]
    command = [
        sys.executable, "-P", "-m", "edgepose", "serve", str(bundle.path),
        "--port", ports[0], "--http-port", ports[1], "--metrics-port", ports[2],
    ]  # fmt: skip
    variables = {**os.environ, "EDGEPOSE_TRITON": str(environment.folder)}
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=variables
        )
    try:
        yield process, ports[0], ports[1]
    finally:
        process.kill()
        process.communicate()


def test_edgepose_serve_serves_until_it_is_told_to_stop(environment, light, tmp_path):
    with serving(environment, light, tmp_path / "errors.txt") as (process, port, http_port):
        first = process.stdout.readline()
        assert first == f"Serving light-head at grpc://127.0.0.1:{port}\n"
        assert is_ready(http_port)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_serve_starts_a_crashed_triton_again_and_leaves_no_shared_memory(
    environment, light, tmp_path
):
    errors = tmp_path / "errors.txt"
    with serving(environment, light, errors) as (process, _, http_port):
        process.stdout.readline()
        (child,) = (int(n) for n in children_of(process.pid))
        os.kill(child, signal.SIGSEGV)
        wait_for(lambda: is_ready(http_port) and children_of(process.pid) != [str(child)])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "is started again in" in errors.read_text()
    assert not list(Path("/dev/shm").glob("edgepose-triton-*"))


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_ready(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2):
            return True
    except OSError:
        return False


def wait_for(condition) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_poses_do_not_need_is_refused_to_everybody(start, light):
    server = start(light)
    client = triton.InferenceServerClient(address(server).removeprefix("grpc://"))
    for method, arguments in (
        ("update_log_settings", [{"log_verbose_level": 9}]),
        ("get_log_settings", []),
        ("get_trace_settings", []),
        ("get_inference_statistics", []),
        ("get_model_repository_index", []),
        ("load_model", ["theirs"]),
        ("unload_model", ["light-head"]),
        ("get_cuda_shared_memory_status", []),
        ("register_system_shared_memory", ["theirs", "/edgepose", 64]),
    ):
        with pytest.raises(InferenceServerException, match="edgepose"):
            getattr(client, method)(*arguments)
    client.close()


def until(reached) -> None:
    end = time.monotonic() + LONGEST_S
    while not reached():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def kinds(events: list) -> list[str]:
    assert all(event.kind in (EventKind.HEAD_LOST, EventKind.HEAD_RECONNECTED) for event in events)
    return [str(event.kind) for event in events]


def other_head(bundle: Bundle) -> bytes:
    """The same network with another name in it, and so another hash."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(bundle.graph_path("head"))
    model.doc_string = "other"
    return bytes(model.SerializeToString())


def test_the_environment_may_lie_anywhere(monkeypatch):
    monkeypatch.setenv("EDGEPOSE_TRITON", "/somewhere")
    assert default_folder() == Path("/somewhere")
