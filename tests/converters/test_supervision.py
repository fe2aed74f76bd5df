import threading

import pytest

from edgepose_converters.triton.environment import TritonEnvironment
from edgepose_converters.triton.server import SHARED_MEMORY, Endpoints, TritonServer
from edgepose_converters.triton.supervision import STEADY_S, RestartSettings, keep_running
from edgepose_runtime.errors import BackendError

AT_ONCE = RestartSettings(first_delay_s=0.0, longest_delay_s=0.0, attempts=3)


class Script:
    """A server that ends after so many seconds each time; ``None``: it cannot be started."""

    def __init__(self, *runs):
        self.runs = list(runs)
        self.now = 0.0
        self.calls = []
        self.stopped = threading.Event()

    def start(self):
        self.calls.append("start")
        if self.runs and self.runs[0] is None:
            self.runs.pop(0)
            raise BackendError("the port is taken")

    def wait(self):
        if not self.runs:
            self.stopped.set()
            return 0
        self.now += self.runs.pop(0)
        return -11

    def kill(self):
        self.calls.append("kill")

    def run(self):
        return keep_running(self, self.stopped, AT_ONCE, lambda: self.now)


def test_a_crashed_server_is_cleaned_up_and_started_again_until_it_is_stopped(capsys):
    server = Script(1.0, 2.0)
    assert server.run()
    assert server.calls == ["kill", "start"] * 2
    assert capsys.readouterr().err.count("exit code -11; it is started again in") == 2


def test_a_server_that_crashes_again_and_again_is_given_up(capsys):
    assert not Script(*[1.0] * 9).run()
    assert "it is given up" in capsys.readouterr().err


def test_one_that_ran_for_long_is_started_again_however_often_it_crashes():
    server = Script(*[STEADY_S] * 20)
    assert server.run()
    assert server.calls.count("start") == 20


def test_a_start_that_fails_is_tried_again(capsys):
    server = Script(1.0, None, 5.0)
    assert server.run()
    assert server.calls.count("start") == 3
    assert "the port is taken" in capsys.readouterr().err


def test_a_stop_during_the_wait_ends_it_at_once():
    server = Script(1.0)
    threading.Timer(0.05, server.stopped.set).start()
    settings = RestartSettings(first_delay_s=3600, longest_delay_s=3600)
    assert keep_running(server, server.stopped, settings, lambda: server.now)
    assert "start" not in server.calls


@pytest.fixture
def environment(tmp_path):
    """Files by the names of Triton's."""
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    home = packages / "pytriton" / "tritonserver"
    for folder in ("bin", "backends/python", "python_backend_stubs/3.11"):
        (home / folder).mkdir(parents=True)
    (home / "bin" / "tritonserver").touch()
    (home / "python_backend_stubs" / "3.11" / "triton_python_backend_stub").touch()
    return TritonEnvironment(tmp_path)


def options_of(server):
    return dict(word.split("=", 1) for word in server._command[1:])


def test_whatever_the_host_http_is_for_this_machine_and_services_need_a_secret(
    environment, tmp_path
):
    host = Endpoints("0.0.0.0")
    with TritonServer(environment, tmp_path, host) as one:
        with TritonServer(environment, tmp_path, host) as other:
            restricted = [
                options_of(each)["--grpc-restricted-protocol"].split("=") for each in (one, other)
            ]
        assert options_of(one)["--http-address"] == "127.0.0.1"
        assert options_of(one)["--grpc-address"] == "0.0.0.0"
    assert {services for services, _ in restricted} == {
        "model-repository,shared-memory,trace,logging,statistics:edgepose"
    }
    secrets = {secret for _, secret in restricted}
    assert len(secrets) == 2
    assert all(len(secret) == 32 for secret in secrets)


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="this system has no /dev/shm")
def test_shared_memory_that_a_crash_left_is_removed_and_that_of_others_is_not(
    environment, tmp_path, monkeypatch
):
    monkeypatch.setattr("edgepose_converters.triton.server.SHARED_MEMORY", tmp_path / "shm")
    server = TritonServer(environment, tmp_path, Endpoints())
    (option,) = [each for each in server._command if "shm-region-prefix-name=" in each]
    (tmp_path / "shm").mkdir()
    (tmp_path / "shm" / f"{option.rpartition('=')[2]}0").touch()
    (tmp_path / "shm" / "triton_python_backend_shm_region_of_others").touch()
    server.kill()
    assert [path.name for path in (tmp_path / "shm").iterdir()] == [
        "triton_python_backend_shm_region_of_others"
    ]
    server.close()
