import numpy as np
import pytest

from benchmarks.robustness import merged, parse_arguments, report
from benchmarks.robustness.measurement import CachedPredictor, Row, groups
from benchmarks.robustness.plot import draw
from edgepose_runtime.geometry.roi import Roi


def row(method="ours", condition="clean", pck=80.0, share=0.0):
    return Row(condition, method, share, pck, pck - 30, None, None, 1, 40, 0, 2)


def test_a_picture_in_a_box_is_looked_at_once():
    looks = []

    def estimate(frame, box):
        looks.append(box)
        return np.full((13, 3), len(looks))

    remembering = CachedPredictor(estimate)
    frame, box = np.zeros((8, 8, 3), np.uint8), Roi(0, 0, 4, 4)
    assert remembering(frame, box) is remembering(frame.copy(), box)
    remembering(frame, Roi(1, 0, 4, 4))
    frame[0, 0, 0] = 1
    remembering(frame, box)
    assert len(looks) == 3


def test_a_new_figure_takes_the_place_of_the_old_one_and_others_stay():
    before = [row(pck=70), row("peer"), row(condition="dark")]
    rows = merged(before, [row(pck=80)])
    found = {(each.method, each.condition): each.pck02 for each in rows}
    assert found == {("ours", "clean"): 80, ("ours", "dark"): 80, ("peer", "clean"): 80}
    assert rows[0].method == "ours", "who was measured now comes first"


def test_the_tables_have_a_column_for_each_condition_that_was_measured():
    text = report([row(), row(condition="covered 20 %", pck=61.234, share=0.2), row("peer")])
    lines = text.splitlines()
    assert "|  | clean | covered 20 % |" in lines
    assert "| ours | 80.0 | 61.2 |" in lines
    assert "| peer | 80.0 |  |" in lines


def test_a_figure_that_is_not_there_is_a_dash():
    assert "| ours | - |" in report([row()]).splitlines()


def test_all_groups_are_measured_by_default():
    assert tuple(parse_arguments([]).parts.split(",")) == groups()


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row(), row(condition="covered 20 %", pck=60, share=0.2), row("peer", "dark", 50)]
    draw(rows, tmp_path / "robustness.png")
    assert (tmp_path / "robustness.png").read_bytes()[:4] == b"\x89PNG"
