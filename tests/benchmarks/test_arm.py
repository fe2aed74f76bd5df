"""The comparison with ARM processors, on this one."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.arm import kernels, measurement, sysroot
from benchmarks.arm.checks import Check, check_graphs, relative_difference
from benchmarks.arm.reference import record_graphs
from benchmarks.arm.sysroot import ArmError, Sysroot, pinned, set_up


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_kernels_are_right_here(name):
    assert kernels.difference(name) <= kernels.KERNELS[name][1]


def test_a_kernel_that_computes_something_else_is_seen(monkeypatch):
    wrong = {"peaks": (lambda _: ([1.0, np.nan], [1.0, 2.0]), 1.0)}
    monkeypatch.setattr(kernels, "KERNELS", wrong)
    assert kernels.difference("peaks") == float("inf")


@pytest.mark.slow
def test_graphs_equal_what_was_recorded_and_a_change_is_seen():
    recorded = record_graphs("ppn-swift")
    found = {check.name: check for check in check_graphs("ppn-swift", recorded)}
    assert sorted(found) == ["ppn-swift: body", "ppn-swift: detector", "ppn-swift: head"]
    assert all(check.right and check.difference < 1e-5 for check in found.values())
    assert found["ppn-swift: body"].note == "int8+float32"
    recorded["head/out/heatmaps"] = recorded["head/out/heatmaps"] * 0.25
    wrong = [check.name for check in check_graphs("ppn-swift", recorded) if not check.right]
    assert wrong == ["ppn-swift: head"]


def test_differences_are_parts_of_the_expected_values():
    assert relative_difference(np.float32([3, 0]), np.float32([4, 0])) == pytest.approx(0.25)
    assert relative_difference(np.float32([np.nan]), np.float32([1])) == float("inf")


class Emulated(Sysroot):
    """A machine that answers without QEMU."""

    def command(self, cpu, words):
        program = "import sys; print('noise'); print(sys.argv[1]); sys.exit(int(sys.argv[2]))"
        line = json.dumps({"name": cpu, "difference": 0.5, "limit": 1, "seconds": 2.0})
        return [sys.executable, "-c", program, line, words[-1]]

    def environment(self, _):
        return {}


def test_a_crash_is_a_wrong_check_after_those_before_it(tmp_path):
    machine = Emulated(tmp_path, tmp_path)
    assert [check.right for check in measurement.run_all(machine, "a72", [["0"]])] == [True]
    before, crash = measurement.run_all(machine, "a72", [["3"]])
    assert (before.name, before.right, crash.right) == ("a72", True, False)
    assert crash.note.startswith("ended with 3")


def test_the_table_has_a_column_for_each_processor():
    results = {"a72": [Check("head", 0.5, 1, 0)], "a76": [Check("head", float("nan"), 1, 0)]}
    assert measurement.table(results).rows == (("head", "0.5", "**nan, wrong**"),)
    assert measurement.table({**results, "v1": []}).rows[0][3] == "-"


def test_wheels_have_the_pinned_versions():
    lines = (
        "# first\nnumpy==2.4.6; python_version >= '3.11'\nnumpy==2.2.6; python_version < '3.11'\n"
    )
    assert pinned(["numpy"], lines) == ["numpy==2.4.6"]
    assert pinned(["opencv-python-headless"], "opencv-python==5.0\n")[0].endswith("==5.0")
    with pytest.raises(ArmError, match="no version of numba"):
        pinned(["numpy", "numba"], lines)


def test_what_is_complete_is_not_made_again(tmp_path, monkeypatch):
    made = []
    for name in ("_add_debian", "_add_wheels"):
        monkeypatch.setattr(sysroot, name, lambda *_, name=name: made.append(name))
    qemu = tmp_path / "qemu-aarch64"
    qemu.touch()
    place = tmp_path / "place"
    assert set_up(place, qemu=qemu).qemu == qemu
    set_up(place, qemu=qemu)
    assert made == ["_add_debian", "_add_wheels"]
    monkeypatch.setattr(sysroot, "WHEELS", ("numpy",))
    set_up(place, qemu=qemu)
    assert made[2:] == ["_add_wheels"]
    with pytest.raises(ArmError, match="no QEMU"):
        set_up(place, qemu=tmp_path / "missing")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sysroot.shutil, "which", lambda _: None)
    with pytest.raises(ArmError, match="no apt-get"):
        set_up(tmp_path)


def test_what_fails_says_why(tmp_path, monkeypatch):
    def failing(command, **_):
        raise subprocess.CalledProcessError(100, command, stderr="E: no such suite\n")

    monkeypatch.setattr(sysroot.subprocess, "run", failing)
    monkeypatch.setattr(sysroot.shutil, "which", lambda name: name)
    (tmp_path / "keyring").touch()
    monkeypatch.setattr(sysroot, "KEYRING", tmp_path / "keyring")
    with pytest.raises(ArmError, match=r"apt-get --quiet --yes update.*no such suite"):
        set_up(tmp_path / "place")


@pytest.mark.parametrize(("words", "kinds"), [([], [["kernels"]]), (["--no-kernels"], [])])
def test_parts_can_be_left_out(words, kinds, tmp_path):
    args = measurement.parse_arguments(["--bundles", "", "--track", "", *words])
    assert list(measurement.checks_to_run(args, tmp_path)) == kinds
