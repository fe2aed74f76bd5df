import json

import numpy as np
import pytest

from edgepose.evaluation.data_sets import Selection
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.paper_tables import PAPER_TABLES, paper_rows
from edgepose.evaluation.protocols.runner import Candidate, evaluate
from edgepose.evaluation.report import as_json, markdown, measure_table, summary_table
from edgepose_runtime.poses.skeletons import PENN13

MEASURES = measures_for([0.2])


class Known:
    """Predicts the annotation, with the wrists of nobody."""

    skeleton = PENN13

    def predict(self, clip):
        predicted = clip.keypoints.copy()
        predicted[:, 5:7] = np.nan
        return predicted


@pytest.fixture
def run(make_clip):
    clip = make_clip()
    clip.keypoints[:, 11:, 2] = 0  # no ankles
    return evaluate(Candidate("known", Known(), "a note"), [clip], MEASURES)


def test_every_clip_is_reported_as_it_is_done(make_clip):
    clips, done = [make_clip(), make_clip(name="run")], []
    evaluate(Candidate("known", Known()), clips, MEASURES, lambda clip: done.append(clip.name))
    assert done == ["walk", "run"]


def test_json_is_standard_and_holds_all_means(run, make_clip):
    content = as_json([run], [make_clip()], Selection(), protocol="gt-box")
    content = json.loads(json.dumps(content, allow_nan=False))
    assert (content["protocol"], content["data"]["split"]) == ("gt-box", "val")
    (result,) = content["results"]
    assert (result["method"], result["note"], result["frames"]) == ("known", "a note", 6)
    torso = result["pck"]["PCK-torso@0.2"]
    assert torso["columns"]["Wri"] == 0
    assert torso["columns"]["Ank"] is None
    assert torso["micro"] == pytest.approx(100 * 9 / 11, abs=1e-3)
    assert torso["limbs12"] == pytest.approx(80)
    (clip,) = result["clips"]
    assert (clip["name"], clip["followed"]) == ("walk", 6)
    assert clip["PCK-torso@0.2"] == torso["micro"]


def test_the_table_has_the_papers_columns_and_says_where_nothing_was_scored(run):
    table = measure_table([run], MEASURES[0])
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert (row["Head"], row["Wri"], row["Ank"], row["limbs12"]) == ("100.0", "0.0", "-", "80.0")


@pytest.mark.parametrize("data", ["penn", "sub-jhmdb"])
def test_published_rows_stand_beside_ours_on_the_papers_own_data(run, data):
    table = measure_table([run], MEASURES[1], paper_rows(data, *MEASURES[1]))
    assert any(row[0] == "PPN-Swift (published)" for row in table.rows)
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_published_rows_stand_nowhere_else(run):
    assert len(measure_table([run], MEASURES[1]).rows) == 1
    assert paper_rows("jhmdb", "torso", 0.2) == ()
    assert paper_rows("penn", "torso", 0.1) == ()


def test_published_figures_are_percentages_with_a_mean_near_their_columns():
    for rows in PAPER_TABLES.values():
        for method, *columns, mean in rows:
            assert np.mean(columns) == pytest.approx(mean, abs=1.6), method


def test_the_summary_says_what_was_lost(run):
    table = summary_table([run], "limbs12")
    assert table.rows == (("known", "80.0", "80.0", "0.0", "-", "0/6", "0/1"),)


def test_markdown_has_a_rule_under_its_header(run):
    lines = markdown(summary_table([run], "limbs12")).splitlines()
    assert lines[1].startswith("| --- | ---: |")
    assert lines[2] == "| known | 80.0 | 80.0 | 0.0 | - | 0/6 | 0/1 |"


def test_a_run_can_be_narrowed_to_some_clips(make_clip):
    clips = [make_clip(), make_clip(num_frames=3, name="run")]
    run = evaluate(Candidate("known", Known()), clips, MEASURES)
    assert run.only({"run"}).score.frames == 3
