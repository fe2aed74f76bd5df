"""README and documentation: examples run, commands parse, links and paths exist."""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from edgepose.cli.main import build_parser

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted(PROJECT.glob("docs/**/*.md")),
]
#: Pages of the site that GitHub shows in another way.
SITE_ONLY = {"index.md"}
#: Stands before an example that cannot run here, with the reason; it is compiled, but not run.
NOT_EXECUTED = r"<!-- (?:needs a GPU|not executed: [^\n]+) -->\n"
#: How far numbers in printed output may differ between processors.
TOLERANCE = 2.0
_EXAMPLE = re.compile(
    rf"(?P<note>{NOT_EXECUTED})?^```python\n(?P<code>.*?)^```\n"
    r"(?:```text\n(?P<output>.*?)^```\n)?",
    flags=re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")
_HAS_NUMBERED_LINES = re.compile(r"print\((?:frame|result)\.frame_id")


@dataclass(frozen=True)
class Page:
    """A page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(PROJECT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def commands(self) -> list[str]:
        """The ``edgepose`` lines of shell blocks, continuation lines joined."""
        blocks = re.findall(r"^```sh\n(.*?)^```", self.text, flags=re.MULTILINE | re.DOTALL)
        lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
        return [line for line in lines if line.startswith("edgepose ")]

    def programs(self) -> list[str]:
        """What ``python`` is called with in shell blocks."""
        blocks = re.findall(r"^```sh\n(.*?)^```", self.text, flags=re.MULTILINE | re.DOTALL)
        lines = "\n".join(blocks).replace("\\\n", " ")
        return re.findall(r"^(?:\S*/)?python3? (.+)$", lines, flags=re.MULTILINE)

    def quoted_commands(self) -> list[str]:
        """Commands within a sentence, which may be abbreviated."""
        prose = re.sub(r"^```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)
        return re.findall(r"`(edgepose [a-z][^`]*)`", prose)

    def links(self) -> set[str]:
        linked = re.findall(r"\]\(([^):]+)\)", self.text)
        return {*linked, *re.findall(r'src="([^":]+)"', self.text)}


DOCUMENTS = [Page(path) for path in PAGES]
EXAMPLES = [
    pytest.param(match, id=f"{page.name}-{number}")
    for page in DOCUMENTS
    if page.path.parent.name != "tutorials"  # tests/test_tutorials.py runs all of their blocks
    for number, match in enumerate(_EXAMPLE.finditer(page.text), start=1)
]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def options_of(parser: ArgumentParser) -> set[str]:
    (subparsers,) = (action for action in parser._actions if action.dest == "command")
    (chosen,) = (each for each in subparsers.choices.values() if len(each._actions) > 1)
    return {option for action in chosen._actions for option in action.option_strings}


def parse(line: str) -> object:
    words = list(takewhile(lambda word: word != "|", shlex.split(line, comments=True)))[1:]
    try:
        return build_parser(words).parse_args(words)
    except SystemExit as end:
        pytest.fail(f"{line}\nis refused with exit code {end.code}")


def assert_printed(printed: str, expected: str) -> None:
    """Compare output line by line; ``...`` stands for any lines, numbers may differ a little."""
    shown = expected.splitlines()
    lines = printed.splitlines()
    if shown[-1] == "...":
        shown.pop()
        assert len(lines) > len(shown)
        lines = lines[: len(shown)]
    assert [_NUMBER.sub("#", " ".join(line.split())) for line in lines] == [
        _NUMBER.sub("#", " ".join(line.split())) for line in shown
    ]
    numbers, wanted = (list(map(float, _NUMBER.findall("\n".join(x)))) for x in (lines, shown))
    assert numbers == pytest.approx(wanted, abs=TOLERANCE)


@pytest.fixture
def inputs_at_hand(tmp_path, monkeypatch):
    """A folder in which examples find the clip and may write files."""
    (tmp_path / "samples").symlink_to(PROJECT / "samples")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_python_example_runs_and_prints_what_is_shown(example, inputs_at_hand, capsys):
    program = compile(example["code"], "example", "exec")
    if example["note"]:
        return
    if "RemoteHead" in example["code"]:
        pytest.importorskip("tritonclient.grpc")
    exec(program, {"__name__": "__main__"})
    printed = capsys.readouterr().out
    if example["output"]:
        assert_printed(printed, example["output"])
    if _HAS_NUMBERED_LINES.search(example["code"]):
        numbers = [re.match(r"\d+ ", line) for line in printed.splitlines()]
        assert len({number.group() for number in numbers if number}) == 100


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
class TestPage:
    def test_each_command_is_accepted_by_the_command_line(self, page):
        for line in page.commands():
            parse(line)

    def test_commands_within_sentences_have_such_options(self, page):
        for line in page.quoted_commands():
            words = line.split()[1:]
            for command in words[0].split("|"):
                known = options_of(build_parser([command]))
                named = {word.split("=")[0] for word in words if word.startswith("--")}
                assert named <= known, line

    def test_each_program_that_python_runs_is_there(self, page):
        for line in page.programs():
            first, *rest = shlex.split(line, comments=True)
            if first == "-m":
                assert rest[0] != "benchmarks" or rest[1] in PARTS, line
            elif first.startswith("samples/"):
                assert (PROJECT / first).is_file(), line

    def test_each_link_leads_somewhere(self, page):
        for link in page.links():
            target, _, anchor = link.partition("#")
            path = page.path.parent / target if target else page.path
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link

    def test_each_path_that_it_names_exists(self, page):
        named = re.findall(
            r"`((?:benchmarks|converters|docs|edgepose|runtime|samples|tests)/[^\s`*…]+)`",
            page.text,
        )
        assert [path for path in named if not (PROJECT / path).exists()] == []

    def test_each_make_target_exists(self, page):
        makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", page.text, flags=re.MULTILINE))
        assert named <= set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def test_readme_fits_on_two_screens_and_names_the_first_two_commands():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert "make demo" in text
    assert "make test" in text


def test_each_page_is_listed_in_the_index():
    index = (PROJECT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in PROJECT.glob("docs/*.md")} - {"README.md"} - SITE_ONLY
    assert {page for page in pages if f"]({page})" not in index} == set()


def test_the_folders_of_the_packages_are_those_that_architecture_lists():
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for package in ("edgepose", "runtime/edgepose_runtime", "converters/edgepose_converters"):
        table = text.split(f"| `{package}/` |")[1].split("\n\n")[0]
        listed = set(re.findall(r"^\| `(\w+)/` \|", table, flags=re.MULTILINE))
        there = {path.parent.name for path in (PROJECT / package).glob("*/__init__.py")}
        bundles = {"bundles"} if package == "edgepose" else set()
        assert listed == there | bundles


def test_numbers_of_printed_output_are_compared():
    assert_printed("0 a [1.0 2.5]\n1 b\n", "0 a [1.2   3.]\n...\n")
    with pytest.raises(AssertionError):
        assert_printed("0 a [9.0 2.5]\n", "0 a [1.2 2.5]\n")
    with pytest.raises(AssertionError):
        assert_printed("0 b [1.0 2.5]\n", "0 a [1.0 2.5]\n")


def test_the_animation_is_small_and_moves():
    image = pytest.importorskip("PIL.Image")
    path = PROJECT / "docs" / "images" / "overlay.gif"
    assert path.stat().st_size <= 2_000_000
    with image.open(path) as animation:
        assert animation.n_frames == 34
