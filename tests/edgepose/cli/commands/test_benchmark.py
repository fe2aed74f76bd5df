import json

import pytest

from edgepose.benchmarking import frames as benchmark_frames
from edgepose.cli.commands import benchmark
from edgepose.cli.main import main

QUICK = ["--frames", "5", "--rounds", "1"]


@pytest.fixture
def words(puppet_bundle, puppet_video, monkeypatch, tmp_path):
    """A benchmark of a small model, on a machine without data and weights."""
    monkeypatch.setenv("EDGEPOSE_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("EDGEPOSE_WEIGHTS", raising=False)
    clip = ["--clip", str(puppet_video)]
    return ["benchmark", "--model", str(puppet_bundle.path), *clip, *QUICK]


def test_it_works_without_data_and_weights_and_says_so(words, tmp_path, capsys):
    file = tmp_path / "out.json"
    assert main([*words, "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "puppet, openvino cpu float32, 1 thread" in printed
    assert "No accuracy was measured" in printed
    assert "Left out: MoveNet Lightning: no weights: put movenet-lightning.onnx" in printed
    content = json.loads(file.read_text())
    parts = {row["part"] for row in content["models"]}
    assert parts == {"step", "head", "body"}
    step = next(row for row in content["models"] if row["part"] == "step")
    assert {"crop", "network", "decode", "total", "inference"} <= step["milliseconds"].keys()
    assert step["milliseconds"]["total"]["count"] >= 3
    assert content["accuracy"] is None
    assert content["machine"]["instruction_sets"] is not None
    assert content["settings"]["frames"] == 5


def test_every_combination_takes_part(words, capsys):
    pytest.importorskip("onnxruntime")
    options = ["--backend", "openvino,onnxruntime", "--num-threads", "1,2", "--peers", "none"]
    assert main([*words, *options]) == 0
    printed = capsys.readouterr().out
    for backend in ("openvino", "onnxruntime"):
        for threads in ("1 thread", "2 threads"):
            assert f"puppet, {backend} cpu float32, {threads}" in printed
    assert "Left out" not in printed


def test_an_engine_that_cannot_run_a_model_is_left_out_with_the_reason(words, capsys):
    pytest.importorskip("onnxruntime")
    engines = ["--backend", "onnxruntime", "--precision", "float32,float16", "--peers", "none"]
    assert main([*words, *engines]) == 0
    assert "cannot compute in float16" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--peers", "openpose"], "no peer 'openpose'"),
        (["--backend", "abacus"], "no backend 'abacus'"),
        (["--precision", "int3"], "no precision 'int3'"),
        (["--no-accuracy", "--data-root", "."], "--no-accuracy leaves out"),
        (["--plot", "out.txt"], "ends in .png, .svg, .pdf"),
    ],
)
def test_wrong_options_are_wrong_usage(words, options, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([*words, *options]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--peers", "rtmpose"], "RTMPose-s cannot take part: no weights"),
        (["--device", "abacus"], "No model can be run. The backend openvino has no device"),
        (["--plot", "out.png"], "give --data-root DIR or --accuracy-from FILE"),
        (["--json", "no/such/folder.json"], "no folder"),
        (["--accuracy-from", "gone.json"], r"no accuracy in 'gone.json'"),
        (["--clip", "gone.mp4"], "gone.mp4"),
    ],
)
def test_what_is_missing_is_named(words, options, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([*words, *options]) == 1
    assert sentence in capsys.readouterr().err


def test_the_sample_clip_is_the_default():
    assert benchmark_frames.sample_clip().is_file()


def test_the_sample_clip_of_the_current_folder_is_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark_frames, "__file__", str(tmp_path / "site" / "a" / "b.py"))
    monkeypatch.chdir(tmp_path)
    assert not benchmark_frames.sample_clip().is_file()
    (tmp_path / "samples" / "clips").mkdir(parents=True)
    (tmp_path / "samples" / "clips" / "balance.mp4").touch()
    assert benchmark_frames.sample_clip().is_file()


def test_where_there_is_no_sample_clip_a_video_is_asked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "sample_clip", lambda: tmp_path / "balance.mp4")
    assert main(["benchmark"]) == 2
    assert "give a video with --clip" in capsys.readouterr().err


def test_a_method_with_kernels_is_timed_in_the_same_parts(
    kernel_bundle, tmp_path, monkeypatch, puppet_video
):
    monkeypatch.chdir(tmp_path)
    words = ["benchmark", "--model", str(kernel_bundle.path), "--clip", str(puppet_video), *QUICK]
    assert main([*words, "--peers", "none", "--no-accuracy", "--json", "out.json"]) == 0
    entries = json.loads((tmp_path / "out.json").read_text())["models"]
    assert [entry["part"] for entry in entries] == ["step", "head", "body"]
    assert all(entry["milliseconds"]["total"]["p50"] > 0 for entry in entries)


@pytest.mark.data
def test_accuracy_and_speed_stand_in_one_table_and_one_picture(
    data_root, puppet_bundle, tmp_path, monkeypatch, capsys, puppet_video
):
    pytest.importorskip("matplotlib")
    from edgepose.benchmarking import accuracy

    few = accuracy.Selection
    monkeypatch.setattr(accuracy, "Selection", lambda *a, **k: few(*a, **{**k, "limit": 1}))
    words = ["benchmark", "--model", str(puppet_bundle.path), "--clip", str(puppet_video), *QUICK]
    files = {option: tmp_path / f"out.{option}" for option in ("json", "png")}
    outputs = ["--json", str(files["json"]), "--plot", str(files["png"])]
    outputs.append("--heads")
    assert main([*words, "--peers", "none", "--data-root", str(data_root), *outputs]) == 0
    assert "0.2 in boxes" in capsys.readouterr().out
    content = json.loads(files["json"].read_text())
    assert content["accuracy"]["results"][0]["pck"].keys() == {"boxes", "tracker", "head"}
    assert files["png"].stat().st_size > 1000
    again = ["--accuracy-from", str(files["json"]), "--plot", str(files["png"])]
    assert main([*words, "--peers", "none", *again]) == 0
