"""A bundle: what is measured, kept, refused and written down."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose_converters.quantisation import int8
from edgepose_converters.quantisation.accuracy import Pck, subsampled
from edgepose_converters.quantisation.int8 import Int8Options, quantise_bundle
from edgepose_runtime.bundles.bundle import load_bundle, with_springs
from edgepose_runtime.errors import AccuracyError, BackendError, ConfigError, DataError
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import initial_springs


@pytest.fixture
def options(tmp_path, clips, monkeypatch):
    """Options for a set of made-up clips in place of the real ones."""
    monkeypatch.setattr(int8, "validation_clips", lambda *_: clips[:2])
    monkeypatch.setattr(int8, "read_jhmdb_clips", lambda *_: clips)
    monkeypatch.setattr(int8, "_PROBE_FRAMES", 10)
    return Int8Options("tiny-int8", tmp_path, calibration_frames=20)


@pytest.fixture
def no_quantiser(monkeypatch):
    """Leave graphs float: what is tested comes after the quantiser, which takes long."""
    monkeypatch.setattr(int8, "quantised", lambda model, *_: model)


def lose(monkeypatch, name, points):
    """Let a measurement find 80 for the first bundle, the float one, and less for the other."""
    values = iter([80.0, 80.0 - points])
    monkeypatch.setattr(int8, name, lambda *_: Pck(next(values), 50.0))


def test_the_manifest_tells_what_int8_cost_and_how_it_was_made(float_bundle, tmp_path, options):
    lenient = replace(options, max_drop=100.0)  # of random weights any accuracy is chance
    bundle, report = quantise_bundle(float_bundle, tmp_path / "out", lenient)
    manifest = load_bundle(bundle.path).manifest
    assert (manifest.name, manifest.precision, manifest.weights) == ("tiny-int8", "int8", "int8")
    facts = manifest.accuracy["int8"]
    assert set(facts["float layers"]) == {"head", "step"}
    assert facts["calibration"]["frames"] == {"head": 2, "step": 20}
    assert facts["calibration"]["clips"] == ["clip0", "clip2", "clip4", "clip6"]
    assert len(facts["tracking, float32 and int8"]) == len(facts["head, float32 and int8"]) == 2
    assert max(facts["ONNX Runtime against OpenVINO"].values()) < int8.LARGEST_DISAGREEMENT
    assert set(report.losses) == {"tracking", "head"}
    json.dumps(facts)


def test_layers_that_have_learned_to_round_or_stay_float_are_not_searched(
    float_bundle, tmp_path, options, monkeypatch
):
    searched = []

    def search(*_, candidates, **__):
        searched.append(candidates)
        return []

    monkeypatch.setattr(int8, "sensitive_layers", search)
    layers = {"int8_layers": ("/body/*", "/network/*"), "float_layers": ("/ppu/gate/*",)}
    some = replace(options, max_drop=100.0, **layers)
    _, report = quantise_bundle(float_bundle, tmp_path / "out", some)
    head, step = sorted(searched, key=len)
    assert head == []
    assert step
    assert all(layer.startswith("/ppu/") for layer in step)
    assert "/ppu/gate/Conv" in set(report.float_layers["step"]) - set(step)


def test_a_graph_whose_layers_all_stay_float_is_kept_as_it_was(float_bundle, tmp_path, options):
    lenient = replace(options, max_drop=100.0, float_layers=("/network/*",))
    bundle, report = quantise_bundle(float_bundle, tmp_path / "out", lenient)
    assert report.float_layers["head"] == ["all"]
    heads = [each.graph_path("head").read_bytes() for each in (float_bundle, bundle)]
    assert heads[0] == heads[1]


def test_springs_are_kept(float_bundle, tmp_path, options):
    springs = initial_springs(body_graph(PENN13), heatmap_size=8)
    source = with_springs(float_bundle, springs)
    bundle, _ = quantise_bundle(source, tmp_path / "out", replace(options, float_layers=("*",)))
    np.testing.assert_array_equal(bundle.springs().temporal, springs.temporal)


def test_a_loss_past_what_is_allowed_is_refused_and_nothing_is_written(
    float_bundle, tmp_path, options, no_quantiser, monkeypatch
):
    lose(monkeypatch, "bundle_pck", 0.6)
    with pytest.raises(AccuracyError, match=r"loses 0.60 points .* 0.5 are allowed"):
        quantise_bundle(float_bundle, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_a_head_that_loses_too_much_stays_float(
    float_bundle, tmp_path, options, no_quantiser, monkeypatch
):
    lose(monkeypatch, "head_pck", 0.6)
    bundle, report = quantise_bundle(float_bundle, tmp_path / "out", options)
    assert report.float_layers["head"] == ["all"]
    graphs = (each.graph_path("head").read_bytes() for each in (bundle, float_bundle))
    assert next(graphs) == next(graphs)


def test_graphs_that_runtimes_disagree_on_are_refused(float_bundle, tmp_path, options, monkeypatch):
    monkeypatch.setattr(int8, "LARGEST_DISAGREEMENT", -1.0)
    lenient = replace(options, max_drop=100.0)
    with pytest.raises(BackendError, match="Runtimes disagree on the int8 graph"):
        quantise_bundle(float_bundle, tmp_path / "out", lenient)


def test_an_int8_bundle_is_not_quantised_again(float_bundle, tmp_path, options, no_quantiser):
    bundle, _ = quantise_bundle(float_bundle, tmp_path / "out", options)
    with pytest.raises(ConfigError, match="is int8 already"):
        quantise_bundle(bundle, tmp_path / "again", options)


def test_missing_data_and_negative_drops_are_refused(float_bundle, tmp_path):
    with pytest.raises(DataError):
        quantise_bundle(float_bundle, tmp_path / "out", Int8Options("x", tmp_path / "nowhere"))
    for drop in (-1, float("nan")):
        with pytest.raises(ConfigError, match=f"0 or more points; got {drop}"):
            Int8Options("x", tmp_path, max_drop=drop)


def test_a_thinned_clip_keeps_frames_and_labels_together(clips):
    few = subsampled(clips[0], 4)
    assert len(list(few.frames())) == len(few) == 4
    assert (few.keypoints[1] == clips[0].keypoints[4]).all()


def test_the_command_quantises_a_bundle_by_its_folder(
    float_bundle, tmp_path, options, no_quantiser, capsys
):
    words = ["convert", float_bundle.path, tmp_path / "out", "--precision", "int8"]
    words += ["--calibration-frames", 20, "--data-root", tmp_path, "--max-drop", 100]
    assert main([*map(str, words)]) == 0
    printed = capsys.readouterr().out
    assert "tracking" in printed
    assert "Float layers of step: " in printed
    assert "Wrote the bundle" in printed


def test_the_command_does_not_make_a_float_bundle_of_one(float_bundle, tmp_path, capsys):
    assert main(["convert", str(float_bundle.path), str(tmp_path / "out")]) == 2
    assert "ask for --precision int8" in capsys.readouterr().err
