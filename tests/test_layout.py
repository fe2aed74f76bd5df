"""Which way imports go between the folders, and how large folders and files are.

An arrow is whatever makes one module need another: an import statement, wherever it stands, but
also a module named in a string, as in tables of lazy names, ``import_module`` and ``python -m``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).resolve().parent.parent
#: The packages, and in each the folders and root modules: what comes later may import what comes
#: earlier, never the other way round.
LAYERS = {
    "edgepose_runtime": [
        "text_enum",
        "redaction",
        "errors",
        "checks",
        "closable",
        "events",
        "files",
        "telemetry",
        "backoff",
        "tensors",
        "jit",
        "native",
        "geometry",
        "poses",
        "heatmaps",
        "interpolation",
        "thin_slicing",
        "bundles",
        "backends",
        "capture",
        "__init__",
    ],
    "edgepose": [
        "errors",
        "results",
        "utils",
        "stats",
        "methods",
        "inference",
        "tracking",
        "refinement",
        "keyframes",
        "remote",
        "people",
        "streaming",
        "options",
        "tracker",
        "pool",
        "aio",
        "drawing",
        "pose_files",
        "sinks",
        "export",
        "preview",
        "service",
        "offline",
        "archive",
        "__init__",
        "datasets",
        "models",
        "testing",
        "evaluation",
        "benchmarking",
        "training",
        "cli",
        "__main__",
    ],
    "edgepose_converters": [
        "checkpoints",
        "export",
        "quantisation",
        "kernels",
        "triton",
        "cli",
        "__init__",
    ],
}
SOURCES = {
    "edgepose_runtime": PROJECT / "runtime" / "edgepose_runtime",
    "edgepose": PROJECT / "edgepose",
    "edgepose_converters": PROJECT / "converters" / "edgepose_converters",
}
MOST_FILES, MOST_ROOT_FILES, MOST_LINES = 12, 10, 320

#: A module's path of names from its package on; of a package itself, it ends in ``__init__``.
Module = tuple[str, ...]


@cache
def modules() -> Mapping[Module, Path]:
    """Return all modules of the three packages."""
    return {
        (package, *path.relative_to(root).with_suffix("").parts): path
        for package, root in SOURCES.items()
        for path in sorted(root.rglob("*.py"))
    }


def find(name: str) -> Module | None:
    """Return the module of a dotted name, if it is one of ours."""
    parts = tuple(name.split("."))
    return next((m for m in (parts, (*parts, "__init__")) if m in modules()), None)


@cache
def arrows() -> frozenset[tuple[Module, Module]]:
    """Return (importer, imported) for all modules."""
    return frozenset(
        (module, needed)
        for module, path in modules().items()
        for name in names_needed(ast.parse(path.read_text(encoding="utf-8")), module)
        if (needed := find(name)) and needed != module
    )


def names_needed(tree: ast.AST, module: Module) -> Iterator[str]:
    """Yield the dotted names of modules in a syntax tree."""
    loggers = set(map(id, logger_names(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from names_imported(node, module)
        elif isinstance(node, ast.JoinedStr):
            yield from (folder for folder in [folder_named(node, module)] if folder)
        elif isinstance(node, ast.Constant) and id(node) not in loggers:
            yield from name_in_string(node.value)


def names_imported(node: ast.ImportFrom, module: Module) -> list[str]:
    """Return what ``from ... import ...`` needs: modules where they are, else where names are."""
    parts = [*module[: len(module) - node.level], node.module] if node.level else [node.module]
    base = ".".join(part for part in parts if part)
    inner = [f"{base}.{alias.name}" for alias in node.names]
    return [name if find(name) else base for name in inner]


def name_in_string(value: object) -> Iterator[str]:
    """Yield the module that a string names; "edgepose" alone is also the program's name."""
    if isinstance(value, str) and value != "edgepose":
        yield value.partition(":")[0]


def folder_named(node: ast.JoinedStr, module: Module) -> str | None:
    """Return the folder in which an f-string such as ``f"edgepose.cli.{name}"`` finds a module."""
    first, *rest = node.values
    if isinstance(first, ast.Constant):
        return str(first.value).rpartition(".")[0]
    follows = rest[0].value if rest and isinstance(rest[0], ast.Constant) else ""
    own_name = isinstance(first, ast.FormattedValue) and ast.unparse(first.value) == "__name__"
    return ".".join(module[:-1]) if own_name and str(follows).startswith(".") else None


def logger_names(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what is given to ``getLogger``: loggers are named after modules, but need none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from node.args if node.func.attr == "getLogger" else []


def described(pairs: set[tuple[Module, Module]]) -> list[str]:
    return sorted(f"{'.'.join(source)} -> {'.'.join(target)}" for source, target in pairs)


def test_packages_import_downwards_only() -> None:
    order = list(LAYERS)
    upward = {(a, b) for a, b in arrows() if order.index(a[0]) < order.index(b[0])}
    assert described(upward) == []


@pytest.mark.parametrize("package", LAYERS)
class TestLayers:
    def test_every_folder_and_root_module_has_its_place(self, package: str) -> None:
        found = {module[1] for module in modules() if module[0] == package}
        assert found - set(LAYERS[package]) == set()
        assert set(LAYERS[package]) - found == set()

    def test_imports_go_down(self, package: str) -> None:
        rank = {name: number for number, name in enumerate(LAYERS[package])}
        upward = {
            (a, b)
            for a, b in arrows()
            if a[0] == b[0] == package and rank.get(a[1], -1) < rank.get(b[1], -1)
        }
        assert described(upward) == []


def test_no_folder_holds_a_circle() -> None:
    """In each folder, between the files and folders that lie directly in it."""
    graphs: dict[Module, dict[str, set[str]]] = {}
    for a, b in arrows():
        depth = next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
        if depth:
            graphs.setdefault(a[:depth], {}).setdefault(a[depth], set()).add(b[depth])
    circles = [(".".join(folder), circle_in(graph)) for folder, graph in graphs.items()]
    assert [(folder, circle) for folder, circle in circles if circle] == []


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_arrows_are_seen_in_every_form() -> None:
    program = """
import edgepose.pool
from edgepose import tracker
from edgepose.results import FrameResult
from ..utils import machine
LAZY = {"PoseTracker": "edgepose.options"}
run([python, "-m", "edgepose.cli.main"])
entry = "edgepose.testing:main"
import_module(f"edgepose.cli.commands.{name}")
import_module(f"{__name__}.{name}")
logging.getLogger("edgepose.stats")
"""
    found = map(find, names_needed(ast.parse(program), ("edgepose", "remote", "__init__")))
    names = {".".join(module).removesuffix(".__init__") for module in found if module}
    assert names == {
        *("edgepose.pool", "edgepose.tracker", "edgepose.results", "edgepose.utils.machine"),
        *("edgepose.options", "edgepose.cli.main", "edgepose.testing"),
        *("edgepose.cli.commands", "edgepose.remote"),
    }


def test_registered_commands_are_commands_of_a_package_above() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    commands = project["project"]["entry-points"]["edgepose.commands"]
    assert commands
    for name, target in commands.items():
        module = find(target)
        assert module is not None, f"The command {name} names {target}, which does not exist."
        assert module[:2] == ("edgepose_converters", "cli")
        tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {"add_parser", "run"} <= functions


def sources_of(folder: Path) -> dict[str, int]:
    """Return how many Python files lie in each folder, from ``folder`` down."""
    counts: dict[str, int] = {}
    for path in folder.rglob("*.py"):
        place = path.parent.relative_to(PROJECT).as_posix()
        counts[place] = counts.get(place, 0) + 1
    return counts


@pytest.mark.parametrize(
    "folder", [*SOURCES.values(), PROJECT / "benchmarks"], ids=lambda p: p.name
)
class TestSizes:
    def test_folders_can_be_taken_in_at_a_glance(self, folder: Path) -> None:
        large = {place: n for place, n in sources_of(folder).items() if n > MOST_FILES}
        assert large == {}

    def test_files_can_be_read_in_one_go(self, folder: Path) -> None:
        lines = {
            path.relative_to(PROJECT).as_posix(): len(path.read_text("utf-8").splitlines())
            for path in folder.rglob("*.py")
        }
        assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


def test_the_root_of_edgepose_holds_the_facade_alone() -> None:
    root = sorted(path.name for path in (PROJECT / "edgepose").glob("*.py"))
    assert len(root) <= MOST_ROOT_FILES, root
