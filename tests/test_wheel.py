"""What a user gets from pip: one wheel with three packages and the shipped bundles."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
LICENCES = ["LICENSE", "NOTICE"]
SOURCES = ["pyproject.toml", "README.md", *LICENCES, "edgepose", "runtime", "converters"]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: setuptools leaves its working files beside the sources."""
    sources = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        copy(PROJECT / name, sources / name)
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*build, str(sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy2(source, target)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_every_module_of_the_three_packages_is_inside(wheel: Path) -> None:
    roots = [PROJECT, PROJECT / "runtime", PROJECT / "converters"]
    expected = {
        path.relative_to(root).as_posix()
        for root in roots
        for package in root.glob("edgepose*")
        for path in package.rglob("*.py")
    }
    assert expected - names_in(wheel) == set()
    assert {name.split("/")[0] for name in names_in(wheel) if name.endswith(".py")} == {
        "edgepose",
        "edgepose_runtime",
        "edgepose_converters",
    }


READ = (
    "py.typed",
    "bundles/*/*.json",
    "bundles/*/*.onnx",
    "training/**/*.toml",
    "training/recipes/*.springs.json",
    "*/splits/*.txt",
)


def test_what_the_packages_read_is_inside(wheel: Path) -> None:
    expected = {
        path.relative_to(PROJECT).as_posix()
        for pattern in READ
        for path in (PROJECT / "edgepose").glob(pattern)
    }
    expected.add("edgepose_runtime/dictionaries/motion.npz")
    assert "edgepose/bundles/ppn-swift/manifest.json" in expected
    assert any(name.endswith("/splits/penn-set-apart.txt") for name in expected)
    assert expected - names_in(wheel) == set()


def test_what_only_makers_of_bundles_read_is_left_out(wheel: Path) -> None:
    assert [name for name in names_in(wheel) if name.endswith(("card.json", "motion.json"))] == []


def test_it_is_small_enough_for_a_device(wheel: Path) -> None:
    assert wheel.stat().st_size < 80 * MEGABYTE


def test_neither_tests_nor_third_party_data_are_inside(wheel: Path) -> None:
    unwanted = (".avi", ".npz", ".pth", ".zip", ".mp4", ".pyc")
    ours = {"edgepose_runtime/dictionaries/motion.npz"}  # learned, not collected
    names = set(names_in(wheel)) - ours
    assert [n for n in names if n.endswith(unwanted) or n.startswith("tests/")] == []


def test_it_brings_the_command_and_asks_for_no_training_library(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = next(n for n in archive.namelist() if n.endswith("METADATA")).rsplit("/", 1)[0]
        metadata = archive.read(f"{folder}/METADATA").decode()
        commands = archive.read(f"{folder}/entry_points.txt").decode()
    needed = {
        line.split()[1].split(">")[0]
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist") and "extra ==" not in line
    }
    assert needed == {"numpy", "opencv-python", "numba", "openvino"}
    assert "edgepose = edgepose.cli.main:main" in commands


def test_licence_and_notice_are_inside_as_they_are(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name.rsplit("/", 1)[1]: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/licenses/" in name
        }
    assert found == {name: (PROJECT / name).read_text() for name in LICENCES}
