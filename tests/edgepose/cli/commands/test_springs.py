"""edgepose springs: options that contradict each other are refused before anything is loaded."""

import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose.training.springs.windows import SliceWindows
from edgepose_runtime.bundles.springs_json import read_springs


@pytest.mark.parametrize("factor", ["0", "-1", "1.5", "nan", "x"])
def test_crops_can_be_downscaled_to_a_part_only(factor, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["springs", f"--downscale={factor}", "--out", str(tmp_path / "springs.json")])
    assert "above 0 and at most 1" in capsys.readouterr().err


def test_perturbed_frames_alone_need_some(tmp_path, capsys):
    options = ["--perturbed-only", "--perturbed", "0", "--out", str(tmp_path / "springs.json")]
    assert main(["springs", *options]) == 2
    assert "--perturbed" in capsys.readouterr().err


def test_a_diagram_needs_a_name_of_a_picture_before_anything_is_learned(tmp_path, capsys):
    assert main(["springs", "--plot", str(tmp_path / "springs.0")]) == 2
    assert "must have a name that ends in .png, .svg, .pdf" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--learn-time"], ["--fine-steps", "2"], ["--loss", "hinge"], ["--reach", "0"]]
)
def test_messages_in_time_alone_are_learned_in_one_way(options, tmp_path, capsys):
    out = tmp_path / "springs.json"
    assert main(["springs", "--time-only", *options, "--out", str(out)]) == 2
    assert "--time-only" in capsys.readouterr().err
    assert not out.exists()


def test_messages_in_time_alone_have_no_messages_within_frames(tmp_path, capsys):
    rng = np.random.default_rng(0)
    maps = rng.random((2, 6, 13, 48, 48)).astype(np.float16)
    still = np.stack(np.meshgrid(np.arange(48), np.arange(48)), -1).astype(np.float16)
    grids = np.broadcast_to(still, (2, 6, 2, *still.shape))
    joints = np.full((2, 6, 13, 3), 20, np.float32)
    SliceWindows(maps, grids, joints).save(tmp_path / "windows.npz")
    options = ["--time-only", "--reach", "1", "--rounds", "1", "--steps", "2"]
    files = ["--windows", str(tmp_path / "windows.npz"), "--out", str(tmp_path / "springs.json")]
    assert main(["springs", *options, *files]) == 0
    learned = read_springs(tmp_path / "springs.json")
    assert learned.graph.edges == ()
    assert learned.rounds == learned.graph.reach == 1
    assert (learned.temporal_weight != 1).all()
    assert "within frames count 0.000" in capsys.readouterr().out
