from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepose.training import sets
from edgepose.training.sets.prepare import KINDS
from edgepose.training.sets.sources import (
    Repository,
    SourceSettings,
    find_repositories,
    read_source_list,
)
from edgepose_runtime.errors import ConfigError, DataError


@pytest.fixture
def contents(picture):
    names = [f"photos/{number}.jpg" for number in range(6)]
    return {name: picture(n) for n, name in enumerate(names)} | {"photos/readme.md": b"text"}


def unpack(folder, contents):
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_a_folder_and_a_zip_file_of_a_repository_give_the_same(tmp_path, contents, zipped):
    unpack(tmp_path / "clone" / "set", contents)
    (tmp_path / "zip").mkdir()
    zipped(tmp_path / "zip/set-main.zip", {f"set-main/{n}": c for n, c in contents.items()})
    settings = [SourceSettings("owner/set")]
    (clone,) = find_repositories(settings, tmp_path / "clone", seed=0)
    (archive,) = find_repositories(settings, tmp_path / "zip", seed=0)
    assert clone.files == archive.files
    assert sorted(clone.files) == [f"photos/{number}.jpg" for number in range(6)] != clone.files
    first, second = (source.read(clone.files[0]) for source in (clone, archive))
    assert first[0] == second[0]
    assert np.array_equal(next(first[1]).image, next(second[1]).image)


def test_paths_are_matched_and_pictures_named_as_those_of_coco_left_out(tmp_path, picture):
    names = ["a/1.jpg", "a/skip/2.jpg", "b/3.jpg", "a/000000001234.jpg", "a/val_000000001234.JPG"]
    names += ["a/000000000036_jpg.rf.578b1d9ad987065fc018e299d9e1ee7f.jpg"]  # as Roboflow exports
    unpack(tmp_path, dict.fromkeys(names, picture(0)))
    source = Repository(SourceSettings("o/s", match="^a/", skip="skip"), tmp_path, seed=0)
    assert source.files == ["a/1.jpg"]


def test_videos_give_frames_at_equal_distances(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)
    )
    for number in range(40):
        writer.write(np.full((48, 64, 3), 5 * number, np.uint8))
    writer.release()
    source = Repository(SourceSettings("o/s", every=10, frames=3), tmp_path, seed=0)
    pictures = list(source.read("clip.avi")[1])
    assert [each.origin for each in pictures] == ["clip.avi#5", "clip.avi#15", "clip.avi#25"]
    assert [round(each.image.mean() / 5) for each in pictures] == [5, 15, 25]


def test_missing_repositories_are_named_with_their_addresses(tmp_path, contents):
    unpack(tmp_path / "there-master", contents)
    settings = [SourceSettings("a/there"), SourceSettings("b/gone")]
    with pytest.raises(DataError, match=r"lacks 1 of 2 .* https://github.com/b/gone\. "):
        find_repositories(settings, tmp_path, seed=0)
    (found,) = find_repositories(settings, tmp_path, seed=0, allow_missing=True)
    assert found.settings.name == "a/there"
    with pytest.raises(DataError, match="lacks 1 of 1"):
        find_repositories(settings[1:], tmp_path, seed=0, allow_missing=True)


def test_a_damaged_archive_is_refused(tmp_path, contents, zipped):
    zipped(tmp_path / "set.zip", contents)
    whole = (tmp_path / "set.zip").read_bytes()
    (tmp_path / "set.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"archive of pictures .* cannot be read"):
        find_repositories([SourceSettings("o/set")], tmp_path, seed=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sources = 3", r"needs one \[\[sources\]\]"),
        ("[[sources]", "cannot be read"),
        ('[[sources]]\nname = "a/b"\nper_file = 0', "per_file, every and frames"),
        ('[[sources]]\nname = "a/b"\nmatch = "("', "regular expressions"),
        ('[[sources]]\nname = "a/b"\nlicense = "x"', "license"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, text, sentence):
    (tmp_path / "list.toml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        read_source_list(tmp_path / "list.toml")


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_lists_can_be_read(kind):
    assert read_source_list(Path(sets.__file__).with_name(f"{kind}.toml"))
