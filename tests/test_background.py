"""Numbers in the pages about methods and measures are those of the code."""

from __future__ import annotations

import pytest

from edgepose.evaluation.metrics.bootstrap import RESAMPLES
from edgepose.evaluation.metrics.lag import FAST
from edgepose.evaluation.metrics.oks import BOX_TO_AREA, THRESHOLDS
from edgepose.inference.model import bundle_path
from edgepose.keyframes.decision import ALARM_FRAMES, DRIFT_PER_FRAME, DRIFT_PER_WAY
from edgepose.offline.selection import CHANGE_SHARE
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.interpolation.dictionary import load_dictionary
from edgepose_runtime.interpolation.interpolator import WINDOW

WORDS = {2: "two", 4: "four"}


@pytest.fixture
def page(project_root):
    def read(name: str) -> str:
        return (project_root / "docs" / "background" / name).read_text(encoding="utf-8")

    return read


def test_the_page_about_key_frames_has_the_constants_of_the_code(page):
    text = page("key-frames.md")
    assert f"e + {DRIFT_PER_FRAME:g} + {DRIFT_PER_WAY:g} \\, m" in text
    assert f"c = {CHANGE_SHARE:g}" in text
    assert f"$T = {WINDOW}$" in text
    assert f"makes the next {WORDS[ALARM_FRAMES]} frames key frames" in text
    kinds = len(load_dictionary().kinds.log_odds)
    assert f"has {WORDS[kinds]} kinds of movement" in text


def test_the_page_about_kernels_has_the_shape_of_those_of_the_recipe(page):
    distillator = pytest.importorskip("edgepose.models.dkd.distillator", reason="needs torch")
    config = pytest.importorskip("edgepose.models.dkd.configs").DKD_CONFIGS["dkd-swift"]
    side = distillator.kernel_size(config.input_size // 4 // config.pooling)
    expected = (
        f"{config.channels} filters of ${side} \\times {side}$ at stride {4 * config.pooling}"
    )
    assert expected in page("dkd.md")


def test_the_page_about_propagation_has_the_published_dilations(page):
    ppu = pytest.importorskip("edgepose.models.ppn.ppu", reason="needs torch")
    dilations = ", ".join(map(str, ppu.PPUConfig().dilations))
    assert f"\\{{{dilations}\\}}" in page("ppn.md").replace("\n", " ")


def test_the_page_about_thin_slicing_has_the_reach_of_the_shipped_springs(page):
    springs = load_bundle(bundle_path("ppn-swift")).springs()
    assert springs is not None
    assert springs.graph.edges == ()
    assert f"shipped springs: $t \\pm {springs.graph.reach}$" in page("thin-slicing.md")


def test_the_page_about_accuracy_has_the_definitions_of_the_code(page):
    text = page("accuracy.md")
    assert f"area $A$ of {BOX_TO_AREA:g} times the box" in text
    assert f"0.50, 0.55, … {THRESHOLDS[-1]:.2f}" in text
    assert f"faster than {FAST:g} torsos per second" in text
    assert f"{RESAMPLES:,} times" in text
