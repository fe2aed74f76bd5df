from benchmarks.overhead import STAGES, main, measure


def test_every_stage_is_measured_and_all_is_more_than_each():
    found = measure(320, 240, 120, 3)
    total = found.pop("all outside the networks")
    assert list(found) == list(STAGES)
    assert 0 < max(found.values()) < total


def test_the_table_is_printed(capsys):
    main(["--size", "320x240", "--height", "120", "--frames", "2"])
    assert "| all outside the networks |" in capsys.readouterr().out
