"""The documentation's site: Sphinx, MyST, furo. ``make docs`` builds it into build/docs."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

import edgepose

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "edgepose"
author = "the edgepose authors"
copyright = "2026, the edgepose authors"  # noqa: A001 - Sphinx's name
release = version = edgepose.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "command_line",
    "mathml",
]
# docs/README.md is the list of pages for readers of the repository; index.md is that of the site.
exclude_patterns = ["README.md", "extensions", "schemas"]

html_theme = "furo"  # light and dark, as the reader's system has it
html_title = f"edgepose {release}"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_dmath_allow_digits = False  # "$5" is a price
html_math_renderer = "mathml"
myst_heading_anchors = 4
# JSON with "..." in place of what is long is not quite JSON.
suppress_warnings = ["misc.highlighting_failure"]

napoleon_numpy_docstring = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
smartquotes = False  # "--" in the help of options is two hyphens
python_use_unqualified_type_names = True
copybutton_exclude = ".linenos, .gp, .go"

#: Pages of the repository outside docs/, and the pages of the site that include them.
PAGES_ELSEWHERE = {"benchmarks/README.md": "site/benchmarks.md"}


def link_within_site(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Let links to pages outside docs/ lead to the pages of the site that include them."""
    for elsewhere, page in PAGES_ELSEWHERE.items():
        link = rf"\]\(((?:\.\./)*)\.\./{re.escape(elsewhere)}"
        source[0] = re.sub(link, rf"](\1{page}", source[0])


def escape_type_names(_app: Sphinx, *described: object) -> None:
    """Keep reStructuredText from reading ``numpy.str_`` in docstrings as a link."""
    lines: list[str] = described[-1]  # type: ignore[assignment]
    lines[:] = [re.sub(r"\bnumpy\.str_(?!\w)", r"numpy.str\\_", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect the functions of this file."""
    app.connect("source-read", link_within_site)
    app.connect("autodoc-process-docstring", escape_type_names, priority=900)  # after napoleon
