"""The rooms of the project and the arrows between them."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "edgepose_runtime": PROJECT / "runtime" / "edgepose_runtime",
    "edgepose": PROJECT / "edgepose",
    "edgepose_converters": PROJECT / "converters" / "edgepose_converters",
}
FORBIDDEN = {
    "edgepose_runtime": {"edgepose", "edgepose_converters", "torch", "onnx"},
    "edgepose": {"edgepose_converters"},
    "edgepose_converters": set[str](),
}
# llvmlite comes with numba, of which it is a part.
BASE_INSTALL = {"numpy", "cv2", "numba", "llvmlite", "openvino"}
#: What the extras bring: none of it may be needed where the base install has to do.
EXTRAS = [
    "paho",
    "torch",
    "prometheus_client",
    "onnx",
    "onnxruntime",
    "rich",
    "matplotlib",
    "scipy",
    "tritonclient",
    "tomli",
    "pyarrow",
    "ray",
    "supervision",
]
#: First lines of a program that cannot import any of them.
WITHOUT_EXTRAS = f"import sys\nsys.modules.update(dict.fromkeys({EXTRAS!r}))\n"


def modules_of(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGES[package].rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_by(tree: ast.AST) -> set[str]:
    """Top-level names of the packages that a syntax tree imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def imported_on_load(tree: ast.Module) -> set[str]:
    """The same for what runs when the module is loaded: outside functions and TYPE_CHECKING."""
    names: set[str] = set()
    for statement in tree.body:
        lazy = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if not lazy and not is_for_type_checkers(statement):
            names |= imported_by(statement)
    return names


def is_for_type_checkers(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)


def python(program: str) -> str:
    """Run a program in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_go_one_way(package: str) -> None:
    wrong = {
        f"{path.relative_to(PROJECT)}: {sorted(against)}"
        for path, tree in modules_of(package)
        if (against := imported_by(tree) & FORBIDDEN[package])
    }
    assert not wrong


def test_the_runtime_loads_only_what_the_base_install_brings() -> None:
    allowed = BASE_INSTALL | {"edgepose_runtime"} | set(sys.stdlib_module_names)
    wrong = {
        f"{path.relative_to(PROJECT)}: {sorted(beyond)}"
        for path, tree in modules_of("edgepose_runtime")
        if (beyond := imported_on_load(tree) - allowed)
    }
    assert not wrong


@pytest.mark.parametrize("package", ["edgepose", "edgepose_runtime"])
def test_import_loads_no_extra(package: str) -> None:
    program = f"import json, sys, {package}; print(json.dumps(sorted(sys.modules)))"
    assert set(json.loads(python(program))).isdisjoint(EXTRAS)


def test_the_public_names_and_the_command_line_need_no_extra() -> None:
    python(
        WITHOUT_EXTRAS + "import edgepose, edgepose_runtime, edgepose.cli.main\n"
        "for package in (edgepose, edgepose_runtime):\n"
        "    for name in getattr(package, '__all__', ()):\n"
        "        getattr(package, name)\n"
        "try:\n"
        "    edgepose.cli.main.main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
    )


def test_tracking_needs_no_extra(sample_clip: Path, tmp_path: Path) -> None:
    results = tmp_path / "poses.jsonl"
    words = ["track", str(sample_clip), "--jsonl", str(results)]
    python(f"{WITHOUT_EXTRAS}from edgepose.cli.main import main\nassert main({words!r}) == 0")
    assert len(results.read_text(encoding="utf-8").splitlines()) == 1 + 100


@pytest.mark.parametrize("package", PACKAGES)
class TestPublicNames:
    def test_each_one_exists_and_is_named_once(self, package: str) -> None:
        module = importlib.import_module(package)
        names = public_names(module)
        assert len(names) == len(set(names))
        assert [name for name in names if not hasattr(module, name)] == []

    def test_nothing_public_is_left_out(self, package: str) -> None:
        module = importlib.import_module(package)
        there = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and not is_scaffolding(name, value, package)
        }
        assert there <= set(public_names(module))


def public_names(module: ModuleType) -> list[str]:
    """What ``__all__`` names; a package without it offers its modules only."""
    return list(getattr(module, "__all__", []))


def is_scaffolding(name: str, value: object, package: str) -> bool:
    """Whether a name is there only because the module was written down: imports and typing."""
    if isinstance(value, ModuleType) or name in {"annotations", "TYPE_CHECKING"}:
        return True
    return not getattr(value, "__module__", package).startswith("edgepose")


def test_the_error_tree_can_be_caught_by_one_name() -> None:
    import edgepose
    from edgepose import errors as public
    from edgepose_runtime import errors

    tree = [
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ]
    assert len(tree) > 1
    assert [e for e in tree if not issubclass(e, edgepose.EdgePoseError)] == []
    assert [e for e in tree if getattr(public, e.__name__, None) is not e] == []
    assert {e.__name__ for e in tree} <= set(public.__all__)


def test_the_root_has_only_the_errors_that_programs_catch() -> None:
    import edgepose

    shown = {name for name in edgepose.__all__ if name.endswith("Error")}
    assert shown == {
        *("ClosedError", "ConfigError", "EdgePoseError", "InferenceError", "SourceError"),
    }


def test_the_library_does_not_print() -> None:
    calls = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for package in PACKAGES
        for path, tree in modules_of(package)
        if "cli" not in path.relative_to(PACKAGES[package]).parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert calls == []
