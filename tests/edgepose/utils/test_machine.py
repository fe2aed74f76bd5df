import sys

import pytest

from edgepose.utils import machine
from edgepose.utils.machine import describe_machine, fast_precisions, instruction_sets, processor

X86 = """processor\t: 0
model name\t: AMD EPYC 9R14
flags\t\t: fpu sse4_2 avx avx2 fma avx512f avx512_bf16 avx512_vnni
processor\t: 1
model name\t: AMD EPYC 9R14
"""
ARM = """processor\t: 0
Features\t: fp asimd asimdhp asimddp i8mm bf16
"""


@pytest.fixture
def facts(monkeypatch, tmp_path):
    """The system's files, for a test to fill."""
    monkeypatch.setattr("edgepose_runtime.native.processor.CPU_FACTS", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "BOARD_FACTS", tmp_path / "model")
    return tmp_path


def test_an_x86_says_its_name_and_instruction_sets(facts):
    (facts / "cpuinfo").write_text(X86)
    assert processor() == "AMD EPYC 9R14"
    assert instruction_sets() == [
        "sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bf16", "avx512vnni",
    ]  # fmt: skip


def test_a_board_says_its_name_and_arm_its_features(facts):
    (facts / "cpuinfo").write_text(ARM)
    (facts / "model").write_bytes(b"NVIDIA Jetson Orin Nano\0")
    assert processor() == "NVIDIA Jetson Orin Nano"
    assert instruction_sets() == ["neon", "fp16", "dotprod", "i8mm", "bf16"]


def test_where_the_system_has_no_such_files_llvm_is_asked(facts, monkeypatch):
    monkeypatch.setattr(machine, "_features_by_llvm", lambda: ["avx2", "avx512vnni", "64bit"])
    assert instruction_sets() == ["avx2", "avx512vnni"]
    assert processor()


def test_without_llvm_either_nothing_is_known(facts, monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    assert instruction_sets() == []


def test_what_llvm_calls_them_is_known(facts):
    assert set(instruction_sets()) <= set(machine.INSTRUCTION_SETS.values())


@pytest.mark.parametrize(
    ("sets", "fast"),
    [
        ([], {}),
        (["avx2", "avx512f"], {}),
        (["avx512vnni", "avx512bf16"], {"int8": "avx512vnni", "bfloat16": "avx512bf16"}),
        (["amx-int8", "avxvnni"], {"int8": "avxvnni amx-int8"}),
        (["neon", "fp16", "dotprod"], {"int8": "dotprod", "float16": "fp16"}),
    ],
)
def test_precisions_are_fast_where_instructions_compute_them(sets, fast):
    assert fast_precisions(sets) == fast


def test_the_facts_beside_a_measurement_are_plain_data():
    facts = describe_machine()
    assert facts["usable_cores"] >= 1
    assert facts["versions"]["numpy"]
    assert facts["versions"].keys() >= {"openvino", "onnxruntime"}
