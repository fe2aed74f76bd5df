"""Which videos there are, and how they are cut."""

import os
from pathlib import Path

import pytest

from edgepose.archive.plan import plan_units, read_plan, write_plan
from edgepose.archive.settings import CutSettings, TrackSettings
from edgepose.archive.videos import UNREADABLE, Video, find_videos, fingerprint
from edgepose_runtime.errors import ConfigError, PoseFileError, SourceError


@pytest.fixture
def films(tmp_path):
    for name in ("b.mp4", "a.avi", "deep/c.MOV", "notes.txt"):
        path = tmp_path / "films" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(name.encode())
    return tmp_path / "films"


class TestVideos:
    def test_a_folder_is_searched_with_those_below(self, films):
        assert [video.name for video in find_videos(str(films))] == ["a.avi", "b.mp4", "deep/c.MOV"]

    def test_a_manifest_has_a_path_a_line_relative_to_it(self, films):
        manifest = films / "list.txt"
        manifest.write_text("# films\nb.mp4\n\ndeep/c.MOV\nb.mp4\nmissing.mp4\n")
        found = find_videos(str(manifest))
        assert [video.name for video in found] == ["b.mp4", "deep/c.MOV", "missing.mp4"]
        assert found[0].path == str(films / "b.mp4")

    def test_a_pattern(self, films, monkeypatch):
        monkeypatch.chdir(films.parent)
        assert [v.name for v in find_videos("films/**/*.mp4")] == ["films/b.mp4"]

    @pytest.mark.parametrize("source", ["films", "films/*.mp4"])
    def test_names_are_text_that_files_can_hold(self, films, monkeypatch, source):
        path = os.fsencode(films) + b"/caf\xe9.mp4"
        Path(os.fsdecode(path)).touch()
        monkeypatch.chdir(films.parent)
        (found,) = [video for video in find_videos(source) if "caf" in video.name]
        assert found.name.encode().endswith(b"caf\\xe9.mp4")
        assert os.fsencode(found.path) == path

    def test_a_single_video(self, films):
        assert [v.name for v in find_videos(str(films / "b.mp4"))] == ["b.mp4"]

    def test_nothing_is_refused(self, films):
        with pytest.raises(SourceError, match="There is no video in"):
            find_videos(str(films / "*.mkv"))


class TestFingerprints:
    def test_beginning_end_and_size_count(self, tmp_path):
        path = tmp_path / "a.mp4"
        content = bytearray(100_000)
        path.write_bytes(content)
        marks = [fingerprint(str(path))[0]]
        for place in (0, 99_999, None):
            changed = bytearray(content)
            if place is None:
                changed += b"x"
            else:
                changed[place] = 1
            path.write_bytes(changed)
            marks.append(fingerprint(str(path))[0])
        assert len(set(marks)) == 4

    def test_what_cannot_be_read_has_none(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.mp4")
        assert fingerprint(str(tmp_path / "pipe.mp4")) == (UNREADABLE, 0)
        assert fingerprint(str(tmp_path / "missing.mp4")) == (UNREADABLE, 0)


class TestRanges:
    def test_long_files_are_cut_and_the_last_range_is_open(self, sample_clip):
        video = Video("balance.mp4", str(sample_clip))
        units = list(plan_units([video], CutSettings(40, 10)))
        assert [(unit.start, unit.stop) for unit in units] == [(0, 40), (40, 80), (80, None)]
        assert [unit.index for unit in units] == [0, 1, 2]
        assert all(unit.is_cut for unit in units)
        (whole,) = plan_units([video], CutSettings())
        assert not whole.is_cut

    def test_units_have_names_that_depend_on_file_and_range(self, sample_clip):
        videos = [Video("a", str(sample_clip)), Video("b", str(sample_clip))]
        units = [*plan_units(videos, CutSettings(40, 10)), *plan_units(videos, CutSettings(50, 10))]
        assert len({unit.unit for unit in units}) == len(units)
        assert list(plan_units(videos, CutSettings(40, 10))) == units[:6]

    def test_a_plan_is_read_back(self, sample_clip, tmp_path):
        units = list(plan_units([Video("a", str(sample_clip))], CutSettings(40, 10)))
        write_plan(tmp_path / "plan.jsonl", units)
        assert read_plan(tmp_path / "plan.jsonl") == units
        (tmp_path / "plan.jsonl").write_text('{"unit": 1')
        with pytest.raises(PoseFileError, match="is damaged"):
            read_plan(tmp_path / "plan.jsonl")


class TestSettings:
    @pytest.mark.parametrize(
        "options",
        [{"key_frames": True, "thin_slicing": True}, {"max_key_rate": 0.2}, {"lag_frames": 1}],
    )
    def test_contradictions_are_refused(self, options):
        with pytest.raises(ConfigError):
            TrackSettings(**options)

    def test_the_overlap_is_shorter_than_a_range(self):
        with pytest.raises(ConfigError, match="must be shorter"):
            CutSettings(10, 10)
