import pytest

from edgepose.training.log import RunningMean, TrainingLog
from edgepose_runtime.errors import CheckpointError, OutputError


def test_rows_are_kept_in_a_csv(tmp_path):
    journal = TrainingLog(tmp_path, 0)
    journal.add({"step": 50, "loss": 0.5})
    journal.add({"step": 100, "loss": 0.25})
    assert (tmp_path / "log.csv").read_text() == "step,loss\n50,0.5\n100,0.25\n"


def test_a_new_column_is_added_to_all_rows(tmp_path):
    journal = TrainingLog(tmp_path, 0)
    journal.add({"step": 50, "loss": 0.5})
    journal.add({"step": 100, "loss": 0.25, "pck": 70.0})
    assert (tmp_path / "log.csv").read_text() == "step,loss,pck\n50,0.5,\n100,0.25,70\n"
    assert journal.column("pck") == [(100, 70.0)]


def test_rows_after_the_step_that_is_resumed_from_are_dropped(tmp_path):
    first = TrainingLog(tmp_path, 0)
    for step in (50, 100, 150):
        first.add({"step": step, "loss": 1 / step})
    resumed = TrainingLog(tmp_path, 100)
    assert [step for step, _ in resumed.column("loss")] == [50, 100]
    resumed.add({"step": 150, "loss": 0.5})
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4


def test_a_new_run_starts_an_empty_log(tmp_path):
    TrainingLog(tmp_path, 0).add({"step": 50, "loss": 0.5})
    assert TrainingLog(tmp_path, 0).column("loss") == []


def test_curves_are_drawn_once_there_are_rows(tmp_path):
    journal = TrainingLog(tmp_path, 0)
    journal.plot(tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
    journal.add({"step": 50, "loss": 0.5, "pck": 3.0})
    journal.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        TrainingLog(tmp_path / "file", 0)


def test_the_meter_takes_means_and_leaves_out_pauses():
    seconds = [0.0]
    meter = RunningMean(clock=lambda: seconds[0])
    seconds[0] = 1.0
    meter.add({"loss": 2.0}, images=10)
    seconds[0] = 9.0
    meter.restart_clock()
    seconds[0] = 10.0
    meter.add({"loss": 4.0}, images=10)
    assert meter.means() == {"loss": 3.0, "images_per_second": 10.0}
    seconds[0] = 12.0
    meter.add({"loss": 1.0}, images=10)
    assert meter.means() == {"loss": 1.0, "images_per_second": 5.0}


@pytest.mark.parametrize(
    "damage", ["ten,0.5\n", "1\n", "100,0.5,3\n", "100,half\n", "100,0.5\0", '"100,0.5\n']
)
def test_a_damaged_log_is_named_when_a_run_resumes(tmp_path, damage):
    (tmp_path / "log.csv").write_text(f"step,loss\n50,0.5\n{damage}")
    with pytest.raises(CheckpointError, match=r"log\.csv is damaged"):
        TrainingLog(tmp_path, 100)


def test_a_log_without_steps_is_damaged(tmp_path):
    (tmp_path / "log.csv").write_text("loss\n0.5\n")
    with pytest.raises(CheckpointError, match="'step'"):
        TrainingLog(tmp_path, 100)


def test_a_full_disk_is_an_output_error(tmp_path, monkeypatch):
    journal = TrainingLog(tmp_path, 0)
    journal.add({"step": 50, "loss": 0.5})

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    for row in ({"step": 100, "loss": 0.5}, {"step": 100, "pck": 1.0}):
        with pytest.raises(OutputError, match=r"log\.csv.*No space left"):
            journal.add(row)


def test_curves_that_cannot_be_written_are_an_output_error(tmp_path):
    journal = TrainingLog(tmp_path, 0)
    journal.add({"step": 50, "loss": 0.5})
    with pytest.raises(OutputError, match=r"curves\.png"):
        journal.plot(tmp_path / "nowhere" / "curves.png")
