"""Compiles kernels with numba for a class of processors, and links them with the system's C."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgepose_converters.kernels.entry_points import entry_point
from edgepose_runtime.native.signatures import (
    LIBRARY,
    PREFIX,
    SIGNATURES,
    Parameter,
    Signature,
    sources_hash,
)

_RUNTIME = Path(__file__).with_name("numba_runtime.c")
#: What LLVM calls the processors that the library is for.
CPU = "x86-64-v3"
# Of libc and libm, functions of any version will do: without a library named, the loader takes
# those of the process, also where it is older than this machine's.
_LINK = (
    "-shared",
    "-fPIC",
    "-O2",
    "-s",
    "-nostdlib",
    "-fno-stack-protector",
    "-fvisibility=hidden",
)
_REPRODUCIBLE = ("-Wl,--build-id=none", "-Wl,--hash-style=gnu")


def build(target: Path = LIBRARY) -> Path:
    """Make the library.

    numba has to be told of the processor before it is imported: in a process of its own.

    Args:
        target: the file.
    """
    os.environ.update(NUMBA_CPU_NAME=CPU, NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR="")
    with TemporaryDirectory() as folder:
        objects = list(_objects(Path(folder)))
        entries = Path(folder) / "entries.c"
        entries.write_text("".join(_entries()), encoding="utf-8")
        sources = [str(_RUNTIME), str(entries), *map(str, objects)]
        subprocess.run(["cc", *_LINK, *_REPRODUCIBLE, "-o", str(target), *sources], check=True)
    return target


def _entries() -> Iterator[str]:
    yield "#include <stdint.h>\n"
    yield f'__attribute__((visibility("default"))) const char *{PREFIX}sources = '
    yield f'"{sources_hash()}";\n'
    for name, signature in SIGNATURES.items():
        yield entry_point(name, signature)


def _objects(folder: Path) -> Iterator[Path]:
    """Yield an object file for each kernel."""
    kernels = _kernels()  # imports numba, which sets LLVM up
    from llvmlite import binding

    machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=CPU, features="", opt=3, reloc="pic", codemodel="small"
    )
    for name, kernel in kernels.items():
        module = binding.parse_assembly(_kernel_code(name, kernel, SIGNATURES[name], machine))
        path = folder / f"{name}.o"
        path.write_bytes(machine.emit_object(module))
        yield path


def _kernels() -> dict[str, Any]:
    from edgepose_runtime.geometry import crop_kernels
    from edgepose_runtime.heatmaps import kernels as heatmap_kernels
    from edgepose_runtime.heatmaps import propagation_kernels
    from edgepose_runtime.poses import flow_kernels
    from edgepose_runtime.poses import kernels as pose_kernels

    modules = (crop_kernels, heatmap_kernels, propagation_kernels, flow_kernels, pose_kernels)
    return {
        name: next(vars(module)[name] for module in modules if name in vars(module))
        for name in SIGNATURES
    }


def _kernel_code(name: str, kernel: Any, signature: Signature, machine: Any) -> str:
    """Return a kernel's optimised LLVM code, under its own name and without Python's wrappers."""
    from llvmlite import binding
    from numba import njit

    compiled = njit(nogil=True, **_options(kernel))(kernel.py_func)
    compiled.compile(tuple(map(_numba_type, signature.parameters)))
    (result,) = compiled.overloads.values()
    mangled = result.fndesc.llvm_func_name
    module = binding.parse_assembly(result.library.get_llvm_str())
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != mangled:
            each.linkage = "internal"
    _remove_unused(module, machine)
    return str(module).replace(f"@{mangled}(", f"@kernel_{name}(")


def _options(kernel: Any) -> dict[str, Any]:
    return {
        key: value
        for key, value in kernel.targetoptions.items()
        if key not in ("nogil", "nopython")
    }


def _remove_unused(module: Any, machine: Any) -> None:
    from llvmlite import binding

    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(0))
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)


def _numba_type(parameter: Parameter) -> Any:
    from numba import types

    number = types.boolean if parameter.dtype == "bool" else getattr(types, parameter.dtype)
    if parameter.ndim:
        return types.Array(number, parameter.ndim, "C")
    tuple_of: Any = types.UniTuple
    return tuple_of(number, parameter.length) if parameter.length else number
