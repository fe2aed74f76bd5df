import json
from contextlib import nullcontext

import numpy as np
import pytest

from benchmarks import slicing
from benchmarks.slicing import _differences, merged, parse_arguments
from benchmarks.slicing.accuracy import Outcome, heatmaps_of
from benchmarks.slicing.candidates import UNARY, Unary, _before_sigmoid, forms_of, unaries
from benchmarks.slicing.data import Unaries
from benchmarks.slicing.speed import measure_speed
from edgepose.evaluation.metrics.bootstrap import Resampled
from edgepose.evaluation.uncertainty import Row
from edgepose.testing import FakeMethod
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.sliding import SlidingSlice
from edgepose_runtime.thin_slicing.springs import initial_springs


@pytest.fixture
def springs():
    return initial_springs(body_graph(PENN13, reach=2), heatmap_size=16, rounds=2)


def last_refined(springs, before, now):
    sliding = SlidingSlice(springs, lag=0)
    cells = np.arange(16, dtype=np.float32)
    still = np.stack(np.meshgrid(cells, cells), -1)
    for maps in (*before, now):
        sliding.push(maps, lambda *_: still)
    return sliding.refined(len(before))


def test_each_form_leaves_out_what_its_name_says(springs):
    rng = np.random.default_rng(0)
    now, near, far, other = rng.random((4, 13, 16, 16), np.float32)
    hears = {}
    for name, form in forms_of(springs).items():
        plain = last_refined(form, (far, near), now)
        hears[name] = (
            not np.array_equal(plain, last_refined(form, (far, other), now)),
            not np.array_equal(plain, last_refined(form, (other, near), now)),
        )
    assert hears == {
        "S-infer": (False, False),
        "temporal only": (True, True),
        "ST-infer, t±1": (True, True),  # through the frame between, in the second round
        "ST-infer, t±2": (True, True),
    }
    moved = now.copy()
    moved[1:] = other[1:]  # all joints but the first, whose messages within the frame it hears
    for name, form in forms_of(springs).items():
        alone = last_refined(form, (far, near), now)[0]
        beside = last_refined(form, (far, near), moved)[0]
        assert np.array_equal(alone, beside) == (name == "temporal only")


def test_a_shorter_reach_hears_no_frame_further_away(springs):
    once = forms_of(initial_springs(body_graph(PENN13, 2), heatmap_size=16, rounds=1))
    rng = np.random.default_rng(0)
    now, near, far, other = rng.random((4, 13, 16, 16), np.float32)
    for name, hears in (("ST-infer, t±1", False), ("ST-infer, t±2", True)):
        before, after = (last_refined(once[name], (each, near), now) for each in (far, other))
        assert np.array_equal(before, after) != hears


def test_another_flow_is_tried_where_messages_travel_in_time(monkeypatch, springs):
    unary = Unary("x", lambda *_: None, FakeMethod().spec, {UNARY: None, **forms_of(springs)})
    monkeypatch.setattr(slicing, "unaries", lambda *_, **__: nullcontext([unary]))
    monkeypatch.setattr(slicing, "select_clips", lambda _: [])
    monkeypatch.setattr(slicing, "collect", lambda *given: given[-1])
    monkeypatch.setattr(slicing, "_outcome", lambda _root, _lag, flow, _spec, of: (of[0], flow))
    found = slicing._outcomes(parse_arguments(["--shares", "0", "--flows", "dis,none"]))
    in_time = ["temporal only", "ST-infer, t±1", "ST-infer, t±2"]
    assert [name for name, flow in found if flow == "dis"] == ["unary", "S-infer", *in_time]
    assert [name for name, flow in found if flow == "none"] == [f"{name}, none" for name in in_time]


def test_differences_are_to_the_first_row_of_the_same_share():
    measured = []
    for share, value in ((0.0, 90.0), (0.0, 92.0), (0.4, 70.0)):
        values = np.array([value, value, 5.0, 0.0])
        figures = Resampled(("film",), values, np.tile(values, (4, 1)))
        outcome = Outcome(share, "x", value, value, 5.0, 0, 0, 0, 0, {})
        measured.append((outcome, Row(f"row {value:.0f}", figures)))
    text = _differences(measured)
    assert "0% perturbed, difference to row 90" in text
    assert "+2.0 (2.0 to 2.0)" in text
    assert "40% perturbed, difference to row 70" in text


def test_rows_of_another_split_are_not_put_into_the_same_table(tmp_path, monkeypatch):
    figures = Resampled(("film",), np.zeros(4), np.zeros((4, 4)))

    def outcomes(args):
        outcome = Outcome(float(args.shares), args.split, 90.0, 60.0, 5.0, 0, 0, 0, 0, {})
        return [(outcome, Row(args.split, figures))]

    monkeypatch.setattr(slicing, "_outcomes", outcomes)
    monkeypatch.setattr(slicing, "plot", lambda *_: None)

    def names_after(split, share):
        words = ["--no-time", "--split", split, "--shares", share, "--out", str(tmp_path)]
        slicing.main(words)
        rows = json.loads((tmp_path / "slicing.json").read_text())["accuracy"]
        return [(row["name"], row["share"]) for row in rows]

    assert names_after("val", "0") == [("val", 0.0)]
    assert names_after("val", "0.2") == [("val", 0.0), ("val", 0.2)]
    assert names_after("final", "0") == [("final", 0.0)]


def test_a_row_of_this_run_takes_the_place_of_an_older_one():
    old = [{"share": 0.0, "name": "unary", "x": 1}, {"share": 0.4, "name": "unary", "x": 2}]
    rows = merged(old, [{"share": 0.0, "name": "unary", "x": 3}])
    assert [row["x"] for row in rows] == [3, 2]


def test_what_is_compared_needs_a_name():
    with pytest.raises(ConfigError, match="NAME=FILE"), unaries("ppn-swift", ["x.json"], []):
        pass


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("torch")

    class Trained:
        module, config = object(), None

    monkeypatch.setattr("edgepose.training.tasks.networks.load_trained", lambda _: Trained)
    with (
        pytest.raises(ConfigError, match="no checkpoint of a recipe with 'slices'"),
        unaries("ppn-swift", [], [f"mine={tmp_path / 'other.pt'}"]),
    ):
        pass


def test_joints_are_decoded_from_heat_maps_whatever_the_messages_were_about():
    pytest.importorskip("torch")
    nothing = np.zeros(0, np.int64)
    maps = np.array([[-1.0, 0.5, 1.0]], np.float32)
    seen = Unaries(0.0, [], nothing, nothing, nothing, nothing)
    np.testing.assert_array_equal(heatmaps_of(maps, seen), maps)
    found = heatmaps_of(maps, seen._replace(before_sigmoid=True))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(2 - 4 * maps)), rtol=1e-6)


def test_what_was_before_the_sigmoid_comes_back_as_the_heat_maps(springs):
    pytest.importorskip("torch")
    maps = np.random.default_rng(0).uniform(0.01, 0.99, (13, 16, 16)).astype(np.float32)
    before = _before_sigmoid(Unary("x", lambda *_: maps, FakeMethod().spec, {}), springs)
    found = before.look(np.zeros((64, 64, 3), np.uint8), Roi(0, 0, 1, 1))
    nothing = np.zeros(0, np.int64)
    seen = Unaries(0.0, [], nothing, nothing, nothing, nothing, before.before_sigmoid)
    np.testing.assert_allclose(heatmaps_of(found, seen), maps, atol=1e-5)
    assert list(before.forms) == [f"before the sigmoid: ST-infer, t±{reach}" for reach in (1, 2)]


def test_messages_are_timed_on_one_thread_and_on_two(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("benchmarks.slicing.speed._dense", lambda *_: 1.0)
    monkeypatch.setattr("benchmarks.slicing.speed.FRAMES", 14)
    speed = measure_speed()
    assert 0 < speed.messages <= speed.messages_p95
    assert speed.two_threads > 0
