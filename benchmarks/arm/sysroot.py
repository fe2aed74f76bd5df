"""An aarch64 Python with edgepose's dependencies, and QEMU to run it; needs no root rights.

Debian's packages are downloaded with a configuration of apt's own and unpacked, never installed;
the wheels are those that pip offers for aarch64, with the versions of ``constraints.txt``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgepose_runtime.errors import EdgePoseError

PROJECT = Path(__file__).resolve().parents[2]
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Debian 12, whose Python is 3.11; QEMU is of Debian 13, which knows more processors.
SUITE, QEMU_SUITE = "bookworm", "trixie"
_PACKAGES = ("python3.11", "libgomp1", "libstdc++6", "libglib2.0-0")
#: What edgepose needs, with OpenCV for machines without a screen.
WHEELS = ("numpy", "llvmlite", "numba", "opencv-python-headless", "openvino")
#: manylinux's versions of the C library from the first for aarch64 up to that of Debian 12.
_GLIBC = range(17, 37)
_QEMU = Path("usr/bin/qemu-aarch64")
_PROGRAMS = ("apt-get", "dpkg", "dpkg-deb")


class ArmError(EdgePoseError):
    """Something cannot be set up, or computes wrong results on ARM."""


@dataclass(frozen=True)
class Sysroot:
    """Folders of an emulated machine.

    Attributes:
        place: holds everything; it may be deleted at any time.
        qemu: the program that runs aarch64 programs.
    """

    place: Path
    qemu: Path

    @property
    def root(self) -> Path:
        """Debian's unpacked packages."""
        return self.place / "root"

    @property
    def site(self) -> Path:
        """The unpacked wheels."""
        return self.place / "site"

    def command(self, cpu: str, words: Sequence[str]) -> list[str]:
        """Return the command that runs Python with ``words`` on an emulated processor."""
        python = self.root / "usr" / "bin" / "python3.11"
        return [str(self.qemu), "-L", str(self.root), "-cpu", cpu, str(python), *words]

    def environment(self, cpu: str) -> dict[str, str]:
        """Return the environment of that command; each processor has caches of its own."""
        caches = self.place / "caches" / cpu
        paths = (self.site, PROJECT, PROJECT / "runtime")
        return {
            **os.environ,
            "PYTHONHOME": str(self.root / "usr"),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "",
            "EDGEPOSE_CACHE": str(caches / "models"),
            "NUMBA_CACHE_DIR": str(caches / "kernels"),
        }


def set_up(place: Path, *, qemu: Path | None = None, mirror: str = MIRROR) -> Sysroot:
    """Make what is missing of a sysroot.

    Args:
        place: an empty or missing folder, or one that this function filled before.
        qemu: ``qemu-aarch64``; ``None`` for that of Debian.
        mirror: where Debian's packages are.

    Raises:
        ArmError: a program is missing, or a package cannot be had.
    """
    wheels = pinned(WHEELS, (PROJECT / "constraints.txt").read_text("utf-8"))
    _once(place / "root", " ".join(_PACKAGES), lambda: _add_debian(place, mirror))
    _once(place / "site", " ".join(wheels), lambda: _add_wheels(place / "site", wheels))
    if qemu is None:
        _once(place / "qemu", QEMU_SUITE, lambda: _add_qemu(place, mirror))
        qemu = place / "qemu" / _QEMU.name
    if not qemu.is_file():
        raise ArmError(f"There is no QEMU at '{qemu}': give the path of a qemu-aarch64 by --qemu.")
    return Sysroot(place, qemu)


def pinned(names: Sequence[str], constraints: str) -> list[str]:
    """Return ``name==version`` of packages for Python 3.11, as a constraints file has them.

    Raises:
        ArmError: it has not.
    """
    lines = [line.partition(";") for line in constraints.splitlines()]
    versions = dict(
        line.strip().split("==") for line, _, when in lines if "==" in line and "<" not in when
    )
    versions["opencv-python-headless"] = versions.get("opencv-python", "")
    missing = [name for name in names if not versions.get(name)]
    if missing:
        raise ArmError(f"constraints.txt has no version of {', '.join(missing)}.")
    return [f"{name}=={versions[name]}" for name in names]


def _once(folder: Path, made_of: str, make: Callable[[], None]) -> None:
    """Make a folder unless it was completed before, of the same parts."""
    stamp = folder.with_name(f"{folder.name}.ready")
    if stamp.is_file() and stamp.read_text("utf-8") == made_of:
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make()
    stamp.write_text(made_of, encoding="utf-8")


def _add_debian(place: Path, mirror: str) -> None:
    print("Downloading Debian's Python for arm64 ...", flush=True)
    with _apt(place / "apt", "arm64", SUITE, mirror) as apt:
        apt("install", "--download-only", "--no-install-recommends", *_PACKAGES)
        for file in sorted((place / "apt").rglob("*.deb")):
            _run(["dpkg-deb", "-x", str(file), str(place / "root")])


def _add_qemu(place: Path, mirror: str) -> None:
    print("Downloading QEMU ...", flush=True)
    # "amd64" on a PC, and whatever this Debian calls itself elsewhere.
    own = _run(["dpkg", "--print-architecture"]).strip()
    with _apt(place / "apt", own, QEMU_SUITE, mirror) as apt:
        apt("download", "qemu-user")  # linked statically: it needs no other package
        (file,) = (place / "apt").glob("*.deb")
        _run(["dpkg-deb", "-x", str(file), str(place / "apt" / "unpacked")])
        (place / "apt" / "unpacked" / _QEMU).rename(place / "qemu" / _QEMU.name)


def _add_wheels(site: Path, wheels: Sequence[str]) -> None:
    print(f"Downloading wheels for aarch64: {', '.join(wheels)} ...", flush=True)
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in _GLIBC] + ["manylinux2014_aarch64"]
    options = [word for platform in platforms for word in ("--platform", platform)]
    options += [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    kind = ["--only-binary=:all:", "--no-deps", "--no-compile", "--python-version", "3.11"]
    _run([*pip, *kind, "--implementation", "cp", *options, "--target", str(site), *wheels])


@contextmanager
def _apt(folder: Path, architecture: str, suite: str, mirror: str) -> Iterator[Callable[..., None]]:
    """Yield what runs apt-get in a folder, without knowledge of what this machine has installed.

    The folder is removed at the end.
    """
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise ArmError(f"There is no {program}: this needs Debian, or a system made from it.")
    if not KEYRING.is_file():
        raise ArmError(f"'{KEYRING}' is missing: apt-get install debian-archive-keyring.")
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, "APT_CONFIG": str(_configuration(folder, architecture))}
    source = f"deb [signed-by={KEYRING}] {mirror} {suite} main\n"
    (folder / "etc" / "sources.list").write_text(source, encoding="utf-8")

    def apt(*words: str) -> None:
        _run(["apt-get", "--quiet", "--yes", *words], environment, folder)

    apt("update")
    yield apt
    shutil.rmtree(folder)


def _configuration(folder: Path, architecture: str) -> Path:
    for inner in ("state/lists/partial", "cache/archives/partial", "etc"):
        (folder / inner).mkdir(parents=True)
    (folder / "state" / "status").touch()
    facts = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",  # whoever runs this, it may write here
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state" / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc": folder / "etc",
        "Debug::NoLocking": "true",
    }
    file = folder / "apt.conf"
    file.write_text("".join(f'{name} "{value}";\n' for name, value in facts.items()))
    return file


def _run(
    command: Sequence[str], environment: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    try:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise ArmError(f"{command[0]} cannot be started: {error}.") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()[-5:]
        raise ArmError(f"'{' '.join(command[:4])} ...' failed: {' '.join(said)}") from error
    return done.stdout
