import sys
from pathlib import Path

import pytest

from edgepose.cli import extras
from edgepose.cli.main import main
from edgepose.training import run as run_module
from edgepose.training.trainer import Progress


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Runs that take two steps and end at once; what they were asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    calls = []

    def fake_train(config, root, settings, report):
        calls.append((config, root, settings))
        report(Progress(1, 2, {}))
        report(Progress(2, 2, {"loss": 0.125, "pck_torso@0.2": 70.0, "gradient": 3.0}))
        return settings.max_minutes > 1

    monkeypatch.setattr(run_module, "train", fake_train)
    return calls


WORDS = ["train", "ppn-swift-body", "--data-root", "data"]


def test_a_shipped_recipe_is_trained_and_progress_comes_in_lines(calls, capsys):
    assert main(WORDS) == 0
    ((config, root, settings),) = calls
    assert config.name == "ppn-swift-body"
    assert root == Path("data")
    assert settings.folder == Path("runs/ppn-swift-body")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "step 2/2: loss 0.125, pck_torso@0.2 70"
    assert printed[1] == f"Done: {Path('runs/ppn-swift-body/checkpoint.pt')}"


def test_options_of_the_run_are_handed_on(calls):
    words = ["--out", "here", "--workers", "0", "--num-threads", "1", "--max-minutes", "5"]
    assert main([*WORDS, *words, "--set", "seed=7", "--set", "optimiser.warmup=3"]) == 0
    ((config, _, settings),) = calls
    assert (config.seed, config.optimiser.warmup) == (7, 3)
    assert (settings.folder, settings.workers, settings.max_minutes) == (Path("here"), 0, 5)


def test_a_stopped_run_says_how_to_go_on(calls, capsys):
    assert main([*WORDS, "--max-minutes", "1", "--set", "start.backbone=a b.pth"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert (
        "edgepose train ppn-swift-body --out runs/ppn-swift-body --resume --data-root data" in last
    )
    assert "--set 'start.backbone=a b.pth'" in last


def test_a_finished_folder_is_not_overwritten(calls, capsys):
    Path("run").mkdir()
    Path("run/checkpoint.pt").touch()
    assert main([*WORDS, "--out", "run"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*WORDS, "--out", "run", "--resume"]) == 0
    assert len(calls) == 1


def test_a_terminal_gets_a_bar(calls, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(WORDS) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("Done")


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["train", "ppn-slow"], 2, "ppn-swift-body"),
        ([*WORDS, "--set", "speed=3"], 2, "speed"),
        ([*WORDS, "--set", "speed"], 2, "option=value"),
        (["train", "ppn-swift-body", "--data-root", "nowhere"], 1, "nowhere"),
    ],
)
def test_wrong_usage_is_one_sentence(calls, capsys, words, code, named):
    assert main(words) == code
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not calls


@pytest.mark.parametrize(
    "words", [["--num-threads", "0"], ["--workers", "-1"], ["--num-threads", "x"]]
)
def test_numbers_that_make_no_sense_are_refused(calls, words):
    with pytest.raises(SystemExit):
        main([*WORDS, *words])


def test_missing_torch_names_the_command_that_installs_it(calls, capsys, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "torch" else object())
    assert main(WORDS) == 1
    assert 'pip install "edgepose[train]"' in capsys.readouterr().err


def test_a_device_that_is_not_there_is_refused_before_data_is_read(tmp_path, capsys):
    words = ["train", "ppn-swift-body", "--data-root", str(tmp_path), "--device", "cuda:77"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 1
    assert "cuda:77" in capsys.readouterr().err


def test_missing_data_is_named(tmp_path, capsys):
    words = ["train", "ppn-swift-body", "--data-root", str(tmp_path), "--set", "start={}"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 1
    assert str(tmp_path / "people") in capsys.readouterr().err


def test_sets_are_built_without_training(calls, capsys, monkeypatch):
    from edgepose.training.sets import prepare
    from edgepose.training.sets.build import SourceReport

    def fake(config, root, settings, show):
        with show("Building people", 2) as bar:
            bar.advance(2)
        return {root / "people": [SourceReport("a/b", 9, 1, 7, 2)], root / "backgrounds": []}

    monkeypatch.setattr(prepare, "prepare_sets", fake)
    assert main([*WORDS, "--prepare", "downloads"]) == 0
    assert calls == []
    folder = Path("data")
    assert capsys.readouterr().out.splitlines() == [
        f"{folder / 'people'}: 7 pictures",
        "  a/b: 7 pictures of 9 files, 2 near duplicates, 1 unreadable",
        f"{folder / 'backgrounds'}: there already, left as it is",
    ]


def test_options_of_sets_are_refused_where_none_are_built(calls, capsys):
    assert main([*WORDS, "--half-bodies", "--most", "5"]) == 2
    assert "--half-bodies, --most: for building sets; add --prepare DIR" in capsys.readouterr().err
    assert calls == []


def test_sets_are_not_built_by_several_processes(calls, capsys, monkeypatch):
    numbers = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "MASTER_PORT": 1}
    for name, value in {**numbers, "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, str(value))
    assert main([*WORDS, "--prepare", "downloads"]) == 2
    assert (
        "--prepare builds sets in one process; run it without torchrun" in capsys.readouterr().err
    )


def test_a_build_that_ctrl_c_stopped_says_how_to_go_on(calls, capsys, monkeypatch):
    from edgepose.training.sets import prepare

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "prepare_sets", interrupted)
    assert main([*WORDS, "--prepare", "downloads"]) == 130
    assert "give the command again to go on" in capsys.readouterr().err


def test_people_are_not_built_without_a_teacher(calls, capsys, tmp_path):
    (tmp_path / "downloads/human-dataset-main").mkdir(parents=True)
    (tmp_path / "downloads/human-dataset-main/a.jpg").write_bytes(b"x")
    assert main([*WORDS, "--prepare", "downloads", "--allow-missing"]) == 2
    assert "give its ONNX file by --teacher" in capsys.readouterr().err


def test_a_recipe_of_no_network_has_no_set_to_build(calls, capsys):
    words = ["train", "dynamics/motion", "--data-root", "data", "--prepare", "downloads"]
    assert main(words) == 2
    assert "no set that --prepare can build" in capsys.readouterr().err
