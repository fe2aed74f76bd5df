"""edgepose springs: options that contradict each other are refused before anything is loaded."""

import pytest

from edgepose.cli.main import main


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
