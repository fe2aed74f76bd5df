import json

import pytest

from edgepose.benchmarking.accuracy import Accuracy, AccuracyReport, read_accuracy
from edgepose.benchmarking.candidates import (
    BODY,
    HEAD,
    PEER,
    STEP,
    BenchmarkModel,
    Engine,
    SkippedModel,
    engines,
)
from edgepose.benchmarking.plot import draw_plot, points_of
from edgepose.benchmarking.report import as_text, main_table, part_table, stage_table
from edgepose.benchmarking.result import FORMAT, REFERENCE, VERSION, Outcome
from edgepose.stats import StageLatency
from edgepose_runtime.errors import ConfigError, DataError

FLOAT, SHORT = Engine(), Engine(precision="auto")


def entry(name="swift", part=STEP, engine=FLOAT, used=None, digest="1"):
    return BenchmarkModel(name, part, engine, used or engine, digest, f"/models/{name}")


def took(**stages):
    return {stage: StageLatency.of([milliseconds]) for stage, milliseconds in stages.items()}


OURS = entry()
TWO = entry(engine=Engine(threads=2))
SHORTER = entry(engine=SHORT, used=Engine(precision="bfloat16"))
MOVENET = entry(REFERENCE, PEER)
ACCURACY = AccuracyReport(
    "jhmdb val, grade A",
    30,
    1186,
    "limbs12",
    (
        Accuracy(
            "swift",
            "openvino",
            "float32",
            "1",
            {
                "boxes": {"PCK-torso@0.2": 78.0, "PCK-torso@0.1": 49.4},
                "tracker": {"PCK-torso@0.2": 77.6, "PCK-torso@0.1": 49.1},
                "head": {"PCK-torso@0.2": 77.3, "PCK-torso@0.1": 49.9},
            },
        ),
        Accuracy(
            REFERENCE,
            "openvino",
            "float32",
            "1",
            {"boxes": {"PCK-torso@0.2": 84.8, "PCK-torso@0.1": 51.6}},
        ),
    ),
)


@pytest.fixture
def outcome():
    latency = {
        OURS: took(crop=0.5, network=5.0, decode=0.1, total=6.0, inference=4.8),
        TWO: took(network=3.0, total=4.0, inference=2.9),
        SHORTER: took(network=2.0, total=3.0, inference=1.9),
        entry(part=BODY): took(total=3.5, inference=3.5),
        entry(part=HEAD): took(total=40.0, inference=40.0),
        MOVENET: took(total=5.0, inference=4.0),
    }
    skipped = [SkippedModel("RTMPose-s", "no weights: put them there.")]
    return Outcome(latency, ACCURACY, skipped, {"seed": 0})


def test_engines_are_every_combination_once():
    plan = engines(["openvino", "openvino"], "cpu", ["auto", "float32"], [1, 2])
    assert [(each.precision, each.threads) for each in plan] == [
        ("auto", 1), ("auto", 2), ("float32", 1), ("float32", 2),
    ]  # fmt: skip


def test_the_yardstick_is_the_peers_network_alone(outcome):
    assert outcome.relative_to_reference(OURS) == pytest.approx(6 / 4)
    assert outcome.relative_to_reference(MOVENET) == pytest.approx(5 / 4)
    assert outcome.relative_to_reference(SHORTER) == pytest.approx(3 / 4)
    assert outcome.relative_to_reference(TWO) is None  # nobody measured it on two threads


def test_threads_are_compared_with_one_thread_of_the_same_engine(outcome):
    assert outcome.speedup_over_one_thread(TWO) == pytest.approx(6 / 4)
    assert outcome.speedup_over_one_thread(SHORTER) == 1


def test_models_are_compared_with_the_first_on_the_same_engine(outcome):
    other = entry("float", digest="2")
    both = Outcome({**outcome.latency, other: took(total=15.0)})
    assert both.relative_to_first_model(other) == pytest.approx(15 / 6)
    assert both.relative_to_first_model(TWO) == 1


def test_the_share_of_propagation_is_what_the_body_leaves_of_the_networks(outcome):
    assert outcome.propagation_share(OURS) == pytest.approx((5.0 - 3.5) / 6.0)
    assert outcome.part(OURS, HEAD) == 40
    assert outcome.propagation_share(TWO) is None


def test_accuracy_belongs_to_files_and_precision_whatever_the_threads(outcome):
    assert outcome.accuracy_of(OURS) is outcome.accuracy_of(TWO) is ACCURACY.results[0]
    assert outcome.accuracy_of(SHORTER) is None
    assert outcome.accuracy_of(entry(digest="other")) is None


def test_json_holds_everything_and_no_path(outcome):
    content = json.loads(json.dumps(outcome.as_json({"processor": "abacus"})))
    assert (content["format"], content["version"]) == (FORMAT, VERSION)
    assert content["machine"] == {"processor": "abacus"}
    assert content["settings"] == {"seed": 0}
    assert len({row["label"] for row in content["models"]}) == 6
    first = content["models"][0]
    assert first["milliseconds"]["crop"] == {"count": 1, "p50": 0.5, "p95": 0.5, "p99": 0.5}
    assert first["asked"] == first["engine"]
    assert first["relative_to_reference"] == 1.5
    assert first["propagation_share"] == 0.25
    assert (first["body_ms"], first["head_ms"]) == (3.5, 40.0)
    assert first["pck"]["boxes"]["PCK-torso@0.2"] == 78.0
    assert content["skipped"][0]["name"] == "RTMPose-s"
    assert "/models" not in json.dumps(content)


def test_the_keys_of_the_json_are_those_of_its_version(outcome):
    """Whoever changes them raises ``VERSION``, on which programs that read the file rely."""
    content = json.loads(json.dumps(outcome.as_json({})))
    assert VERSION == 2
    assert set(content) == {
        *("format", "version", "machine", "settings", "models", "skipped", "accuracy")
    }
    step, *_, peer = content["models"]
    assert set(peer) == {
        *("label", "name", "part", "asked", "engine", "digest", "note", "milliseconds", "pck"),
        *("relative_to_reference", "speedup_over_one_thread", "relative_to_first_model"),
    }
    assert set(step) - set(peer) == {"propagation_share", "body_ms", "head_ms"}
    assert set(step["engine"]) == {"backend", "device", "precision", "threads"}
    assert set(content["skipped"][0]) == {"name", "reason"}
    assert set(content["accuracy"]) == {"data", "clips", "frames", "headline", "results"}
    assert set(content["accuracy"]["results"][0]) == {
        *("name", "backend", "precision", "digest", "pck")
    }


def test_accuracy_can_be_taken_from_an_earlier_json(outcome, tmp_path):
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(outcome.as_json({})))
    assert read_accuracy(file) == ACCURACY


@pytest.mark.parametrize("content", ["no json", "{}", '{"accuracy": null}', '{"accuracy": {}}'])
def test_a_file_without_accuracy_is_refused(content, tmp_path):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(DataError, match=r"no accuracy in .*other\.json"):
        read_accuracy(file)
    with pytest.raises(DataError, match=r"no accuracy in .*gone\.json"):
        read_accuracy(tmp_path / "gone.json")


def test_the_main_table_has_steps_and_peers(outcome):
    table = main_table(outcome)
    assert [row[0] for row in table.rows] == [
        "swift, openvino cpu float32, 1 thread",
        "swift, openvino cpu float32, 2 threads",
        "swift, openvino cpu bfloat16, 1 thread (asked: auto)",
        "MoveNet Lightning, openvino cpu float32, 1 thread",
    ]
    assert table.rows[0][1:] == ("6.00", "6.00", "6.00", "4.80", "1.50×", "78.0", "49.4", "77.6")
    assert table.rows[2][6:] == ("-", "-", "-")
    assert all(len(row) == len(table.header) for row in table.rows)


def test_without_accuracy_its_columns_are_missing_and_said_to_be(outcome):
    bare = Outcome(outcome.latency)
    assert len(main_table(bare).header) == 6
    assert "No accuracy was measured" in as_text(bare)


def test_somebody_without_a_single_step_has_no_figures():
    table = main_table(Outcome({OURS: {}}, ACCURACY))
    assert table.rows[0][1:6] == ("-",) * 5


def test_stages_and_parts_have_tables_of_their_own(outcome):
    stages = stage_table(outcome)
    assert stages.header == ("ms, p50 / p95 / p99", "crop", "network", "decode", "total")
    assert stages.rows[1][1:3] == ("- / - / -", "3.00 / 3.00 / 3.00")
    parts = part_table(outcome)
    assert parts.rows[0][1:] == ("6.00", "3.50", "25 %", "40.00", "77.3", "1.00×", "1.00×")


def test_those_left_out_are_named_with_the_reason(outcome):
    assert "- Left out: RTMPose-s: no weights: put them there.\n" in as_text(outcome)


def test_the_picture_shows_those_with_accuracy_on_the_fewest_threads(outcome, tmp_path):
    pytest.importorskip("matplotlib")
    assert [each[:2] for each in points_of(outcome)] == [(OURS, 6.0), (MOVENET, 5.0)]
    draw_plot(outcome, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_there_is_no_picture_without_accuracy(outcome, tmp_path):
    with pytest.raises(ConfigError, match="no accuracy was measured"):
        draw_plot(Outcome(outcome.latency), tmp_path / "picture.png")
