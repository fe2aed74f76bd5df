"""The measurement of viewers, in small."""

import json

import numpy as np

from benchmarks.preview import measurement as preview


def test_steps_are_measured_with_and_without_viewers(tmp_path, capsys):
    words = ["--frames", "15", "--rounds", "1", "--soak-frames", "60", "--visits", "12"]
    preview.main([*words, "--out", str(tmp_path)])
    content = json.loads((tmp_path / "preview.json").read_text())
    assert list(content["step_ms"]) == ["alone", "nobody looks", "three viewers"]
    assert all(0 < each["p50"] <= each["p95"] for each in content["step_ms"].values())
    assert "three viewers" in capsys.readouterr().out


def test_percentiles():
    figures = preview.summary(np.arange(101.0).tolist())
    assert figures == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
