"""A real Triton as a child process."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgepose_converters.triton.environment import TritonEnvironment
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import BackendError, ConfigError

_POLL_S = 0.1
_LAST_PORT = 65535
_ERROR = re.compile(r"E\d{4} |error", re.IGNORECASE)
#: What Triton complains about on every machine without a GPU.
_NO_GPU = re.compile(r"Cuda|DCGM|NVML", re.IGNORECASE)
_PR_SET_PDEATHSIG = 1
#: What Triton may take to finish requests and unload its models, in seconds.
_EXIT_S = 15.0

#: Services of Triton by which others list or load models, change its log, read what was asked, or
#: map its memory.
REFUSED = "model-repository,shared-memory,trace,logging,statistics"
#: Where Linux keeps shared memory; Triton's Python backend has 1 MB of it per model and more.
SHARED_MEMORY = Path("/dev/shm")
#: Reached from this machine only.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a server listens.

    Attributes:
        host: address of the network interface; 127.0.0.1 is reached from this machine only.
        grpc: port for inferences.
        http: port for health and readiness, on this machine only.
        metrics: port of the Prometheus metrics.

    Raises:
        ConfigError: a port is out of range, or two are the same.
    """

    host: str = LOOPBACK
    grpc: int = 8001
    http: int = 8000
    metrics: int = 8002

    def __post_init__(self) -> None:
        ports = (self.grpc, self.http, self.metrics)
        if not all(1 <= port <= _LAST_PORT for port in ports) or len(set(ports)) < len(ports):
            raise ConfigError(
                f"gRPC, HTTP and metrics need three ports from 1 to {_LAST_PORT}; got {ports}."
            )

    def url(self, path: str, *, metrics: bool = False) -> str:
        """Return the address of a page."""
        if metrics:
            return f"http://{self.host}:{self.metrics}/{path}"
        return f"http://{LOOPBACK}:{self.http}/{path}"


class TritonServer(Closable):
    """Runs ``tritonserver`` on a model repository. Use it in a ``with`` statement, or stop it.

    Args:
        environment: has the binary.
        repository: folder of the models.
        endpoints: where to listen.
        options: further options of ``tritonserver``, such as ``--grpc-use-ssl=1``.
        log: file for what it says; ``None`` for none.

    Raises:
        BackendUnavailableError: the environment has no Triton.
    """

    def __init__(
        self,
        environment: TritonEnvironment,
        repository: Path,
        endpoints: Endpoints,
        options: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        self.endpoints = endpoints
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="edgepose-triton-")
        self._log = log or Path(self._folder.name) / "log.txt"
        self._region = f"edgepose-triton-{secrets.token_hex(8)}"
        self._command = [
            str(_home(environment) / "bin" / "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={self._backends()}",
            f"--grpc-address={endpoints.host}",
            # It crashes of large bodies, and answers without TLS: for readiness on this machine.
            f"--http-address={LOOPBACK}",
            f"--metrics-address={endpoints.host}",
            # Nobody knows the secret: what poses do not need is refused to everybody.
            f"--grpc-restricted-protocol={REFUSED}:edgepose={secrets.token_hex(16)}",
            f"--grpc-port={endpoints.grpc}",
            f"--http-port={endpoints.http}",
            f"--metrics-port={endpoints.metrics}",
            f"--exit-timeout-secs={int(_EXIT_S) - 5}",
            # A name of its own, so that what a crash leaves can be told from others' memory.
            f"--backend-config=python,shm-region-prefix-name={self._region}",
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process, ``None`` while it does not run."""
        return None if self._process is None else self._process.pid

    def start(self, timeout_s: float = 60.0) -> None:
        """Start, and wait until all models are ready.

        Raises:
            BackendError: it ended, or was not ready in time; the error has its last words.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=_environment(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its helpers end with it, see kill()
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BackendError(f"Triton did not start: {self._last_log_lines()}")
            time.sleep(_POLL_S)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Ask Triton whether all models are ready."""
        try:
            with urllib.request.urlopen(self.endpoints.url("v2/health/ready"), timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> Mapping[str, float]:
        """Return Triton's metrics, summed over models: names such as ``nv_inference_count``."""
        with urllib.request.urlopen(self.endpoints.url("metrics", metrics=True), timeout=5) as page:
            return parse_metrics(page.read().decode())

    def wait(self) -> int:
        """Wait until it ends, and return its exit code."""
        return 0 if self._process is None else self._process.wait()

    def send(self, what: signal.Signals) -> None:
        """Send a signal to the server and its helpers."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(self._process.pid, what)

    def stop(self) -> None:
        """Let it finish its requests, then end it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_S)
        self.kill()

    def kill(self) -> None:
        """End it and its helpers at once, and remove the shared memory that they leave."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        for region in SHARED_MEMORY.glob(f"{self._region}*"):
            with suppress(OSError):
                region.unlink()

    def close(self) -> None:
        """Stop, and remove what it needed."""
        self.stop()
        self._folder.cleanup()

    def _backends(self) -> Path:
        """Copy the Python backend beside the stub that fits the environment's interpreter."""
        home = _home(self._environment)
        backends = Path(self._folder.name) / "backends"
        shutil.copytree(home / "backends", backends)
        stub = "triton_python_backend_stub"
        shutil.copy(
            home / "python_backend_stubs" / self._environment.version / stub,
            backends / "python" / stub,
        )
        return backends

    def _last_log_lines(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if _ERROR.match(line) and not _NO_GPU.search(line)]
        return " ".join((errors or lines)[-1:]) or "it said nothing."


def parse_metrics(page: str) -> dict[str, float]:
    """Return the sums over all models of a page of Prometheus metrics."""
    sums: dict[str, float] = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            key = name.partition("{")[0]
            sums[key] = sums.get(key, 0.0) + float(value)
    return sums


def _end_with_parent() -> None:
    """Have Linux end the server when the program that started it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _home(environment: TritonEnvironment) -> Path:
    return environment.packages / "pytriton" / "tritonserver"


def _environment(environment: TritonEnvironment) -> dict[str, str]:
    """Return the variables with which the binary finds its libraries, and the stub its Python."""
    # Not ours: they would lead the stub to another Python's packages.
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    libraries = [str(environment.packages / "nvidia_pytriton.libs"), kept.get("LD_LIBRARY_PATH")]
    binaries = [str(environment.folder.resolve() / "bin"), kept.get("PATH")]
    return {
        **kept,
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "PATH": ":".join(filter(None, binaries)),
    }
