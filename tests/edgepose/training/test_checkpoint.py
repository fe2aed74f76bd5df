from pathlib import Path

import pytest
import torch

from edgepose.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from edgepose_runtime.errors import CheckpointError, OutputError

CONTENT = {"ema": {"a": torch.ones(2)}, "config": {"skeleton": "penn13"}, "step": 3}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "checkpoint.pt"
    save_checkpoint(path, CONTENT)
    return path


def test_what_is_saved_comes_back(path):
    content = load_checkpoint(path)
    assert content["step"] == 3
    assert torch.equal(content["ema"]["a"], torch.ones(2))


def test_nothing_but_the_checkpoint_is_left_behind(path):
    save_checkpoint(path, CONTENT)
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_an_interrupted_save_leaves_the_last_checkpoint(path, monkeypatch):
    def killed(content, file):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {**CONTENT, "step": 4})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 3


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "checkpoint.pt", CONTENT)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep == 10 else int(len(data) * keep)])
    with pytest.raises(CheckpointError, match="damaged") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pt"):
        load_checkpoint(tmp_path / "nowhere.pt")


def test_files_of_other_kinds_and_versions_are_refused(path):
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of edgepose"):
        load_checkpoint(path)
    torch.save({"format": "edgepose.checkpoint", "version": 99}, path)
    with pytest.raises(CheckpointError, match="99"):
        load_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="no weights"):
        load_checkpoint(path)


def test_a_file_that_could_run_code_is_refused_in_one_line(path):
    torch.save({"format": Path}, path)
    with pytest.raises(CheckpointError, match="of another kind") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_weights_come_from_checkpoints_and_plain_files(path, tmp_path):
    ours = load_weights(path)
    assert ours.skeleton is not None
    assert ours.skeleton.name == "penn13"
    for content in ({"b": torch.zeros(1)}, {"state_dict": {"b": torch.zeros(1)}}):
        torch.save(content, tmp_path / "plain.pth")
        plain = load_weights(tmp_path / "plain.pth")
        assert list(plain.values) == ["b"]
        assert plain.skeleton is None


def test_a_file_without_weights_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="no weights"):
        load_weights(tmp_path / "odd.pth")
