from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from edgepose.training.config.loader import load_recipe
from edgepose.training.sets import prepare
from edgepose.training.sets.build import SourceReport
from edgepose.training.sets.prepare import PrepareSettings, prepare_sets
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.tensors import TensorSpec

#: A file that is there, and not read.
TEACHER = Path(__file__)


class Counter:
    def advance(self, steps=1, note=""):
        """Counts nothing."""


@contextmanager
def show(_label, _total):
    yield Counter()


@pytest.fixture
def recipe():
    return load_recipe("ppn-swift-body", [])


@pytest.fixture
def settings(tmp_path, picture):
    """Downloads with one repository of people, which is one of backgrounds as well."""
    folder = tmp_path / "downloads" / "imagenet-sample-images-master"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(picture(0))
    return PrepareSettings(tmp_path / "downloads", TEACHER, allow_missing=True)


@pytest.fixture
def begun(monkeypatch):
    """Folders of sets that are begun; none is really built."""
    begun = []

    @contextmanager
    def no_finder(kind, settings):
        yield None, {}

    def build(folder, *_):
        begun.append(folder.name)
        return [SourceReport("a/b")]

    monkeypatch.setattr(prepare, "_finder", no_finder)
    monkeypatch.setattr(prepare, "build_set", build)
    return begun


def add_set(folder, manifest=None):
    folder.mkdir()
    (folder / "images.zip").touch()
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)


def test_sets_that_are_lacking_are_built(recipe, settings, begun, tmp_path):
    add_set(tmp_path / "people")  # of another origin: it has no manifest
    reports = prepare_sets(recipe, tmp_path, settings, show)
    assert begun == ["backgrounds"]
    assert reports[tmp_path / "people"] == []
    assert len(reports[tmp_path / "backgrounds"]) == 1


def test_what_any_set_lacks_is_said_before_the_first_is_begun(recipe, settings, begun, tmp_path):
    (tmp_path / "downloads/imagenet-sample-images-master").rename(
        tmp_path / "downloads/human-dataset"
    )
    with pytest.raises(DataError, match=r"imagenet-sample-images\. One is needed\."):
        prepare_sets(recipe, tmp_path, settings, show)
    assert begun == []


@pytest.mark.parametrize(
    ("manifest", "fits"),
    [
        ('{"most": 3}', {"most": 3}),
        (
            '{"options": {"score": 0.4, "size": 64, "crowd": 0.8, "joints": 4, "joint_score": 0.4,'
            '"longest": 288}}',
            {"half_bodies": True},
        ),
    ],
)
def test_a_set_of_other_options_is_not_taken_for_this_one(
    recipe, settings, begun, tmp_path, manifest, fits
):
    add_set(tmp_path / "people", manifest)
    with pytest.raises(ConfigError, match="built with another --most or --half-bodies"):
        prepare_sets(recipe, tmp_path, settings, show)
    assert begun == []
    prepare_sets(recipe, tmp_path, replace(settings, **fits), show)
    assert begun == ["backgrounds"]


def test_a_damaged_manifest_is_named(recipe, settings, tmp_path):
    add_set(tmp_path / "people", "[1]")
    with pytest.raises(DataError, match=r"manifest\.json' cannot be read: .*; remove"):
        prepare_sets(recipe, tmp_path, settings, show)


@pytest.mark.parametrize(("joints", "fits"), [(26, True), (17, False)])
def test_a_teacher_that_is_another_network_is_refused(monkeypatch, joints, fits):
    inputs = [TensorSpec("input", "float32", (1, 3, 256, 192))]
    outputs = [
        TensorSpec("simcc_x", "float32", (1, joints, 384)),
        TensorSpec("simcc_y", "float32", (1, joints, 512)),
    ]
    monkeypatch.setattr(prepare, "get_backend", lambda _: FakeBackend(dict, inputs, outputs))
    refused = pytest.raises(ConfigError, match="is not RTMPose for 256x192 pixels and 26 joints")
    with nullcontext() if fits else refused:
        prepare._load_teacher(TEACHER)
