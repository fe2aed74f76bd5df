import contextlib
import json
from dataclasses import dataclass

import numpy as np
import pytest

from edgepose.datasets.readers.stills import read_backgrounds, read_people
from edgepose.training.sets import build
from edgepose.training.sets.build import BuildSettings, build_set, is_built
from edgepose.training.sets.samples import make_sample
from edgepose.training.sets.sources import Repository, SourceSettings
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import PENN13


@dataclass
class Options:
    score: float = 0.5


class TakesAll:
    """Takes every picture, with a joint for each; raises `stop` once so many were looked at."""

    def __init__(self, stop_after=None, joints=26, score=0.5):
        self.settings = Options(score)
        self.looked_at, self._stop_after, self._joints = 0, stop_after, joints

    def find(self, picture, most):  # noqa: ARG002 - as finders do
        if self.looked_at == self._stop_after:
            raise KeyboardInterrupt
        self.looked_at += 1
        return [make_sample(picture.origin, picture.image, np.ones((self._joints, 3), "f4"))]


class Counter:
    def __init__(self):
        self.steps = 0

    def advance(self, steps=1, note=""):  # noqa: ARG002 - as progress does
        self.steps += steps


@pytest.fixture
def source(tmp_path, picture, monkeypatch):
    """Ten pictures, of which two look the same; two are worked off at a time."""
    monkeypatch.setattr(build, "FILES_PER_PART", 2)
    folder = tmp_path / "downloads"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(picture(min(number, 8)))
    return Repository(SourceSettings("owner/set"), folder, seed=0)


def built(folder, source, finder=None, kind="people", **options):
    settings = BuildSettings(kind, **options)
    return build_set(folder, [source], finder or TakesAll(), settings, Counter())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "downloads"}


def test_readers_read_a_built_set_and_its_manifest_says_what_it_is_of(tmp_path, source):
    (report,) = built(tmp_path / "set", source, networks={"teacher": "abc"})
    assert len(list(read_people(tmp_path / "set", PENN13))) == report.samples == 9
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["networks"] == {"teacher": "abc"}
    assert manifest["options"] == {"score": 0.5}
    assert manifest["sources"][0]["near_duplicates"] == 1
    assert sorted(contents(tmp_path / "set")) == ["images.zip", "labels.npz", "manifest.json"]


def test_backgrounds_have_no_labels(tmp_path, source):
    built(tmp_path, source, TakesAll(joints=0), kind="backgrounds")
    assert len(list(read_backgrounds(tmp_path, PENN13))) == 9


def test_a_stopped_build_goes_on_and_gives_the_same_bytes(tmp_path, source):
    built(tmp_path / "whole", source)
    with contextlib.suppress(KeyboardInterrupt):
        built(tmp_path / "stopped", source, TakesAll(stop_after=5))
    assert not (tmp_path / "stopped" / "images.zip").exists()
    rest = TakesAll()
    built(tmp_path / "stopped", source, rest)
    assert rest.looked_at == 6  # two parts of two were kept, a half one was not
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_stopped_build_does_not_go_on_with_other_settings(tmp_path, source):
    with contextlib.suppress(KeyboardInterrupt):
        built(tmp_path, source, TakesAll(stop_after=5))
    with pytest.raises(ConfigError, match="other sources, networks or settings"):
        built(tmp_path, source, TakesAll(score=0.6))
    assert built(tmp_path, source)


def test_a_build_without_a_part_done_goes_on_with_any_settings(tmp_path, source):
    with contextlib.suppress(KeyboardInterrupt):
        built(tmp_path, source, TakesAll(stop_after=1, score=0.9))
    (report,) = built(tmp_path, source)
    assert report.samples == 9


def test_a_build_that_was_stopped_before_its_manifest_is_not_complete(tmp_path, source):
    with contextlib.suppress(KeyboardInterrupt):
        built(tmp_path, source, TakesAll(stop_after=5))
    assert not is_built(tmp_path)
    (tmp_path / "images.zip").touch()
    assert not is_built(tmp_path)
    (tmp_path / "parts" / ".images.zip.1.part").touch()  # by a process that was killed
    built(tmp_path, source)
    assert is_built(tmp_path)
    assert sorted(contents(tmp_path)) == ["images.zip", "labels.npz", "manifest.json"]


def test_a_limit_ends_a_source(tmp_path, source):
    finder = TakesAll()
    (report,) = built(tmp_path, source, finder, most=3)
    assert (report.samples, finder.looked_at) == (3, 4)


def test_damaged_pictures_are_counted_and_a_source_of_nothing_else_refused(tmp_path, source):
    folder = tmp_path / "downloads"
    (folder / "3.jpg").write_bytes(b"not a picture")
    (report,) = built(tmp_path / "set", source)
    assert (report.files, report.unreadable, report.samples) == (10, 1, 8)
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="None of the 10 files of owner/set can be read"):
        built(tmp_path / "other", source)
