from pathlib import Path

import pytest

from edgepose.inference.compile_cache import cache_folder, with_cache
from edgepose_runtime.backends import BackendSettings


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEPOSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("device", ["tensorrt", "cuda", "gpu", "npu"])
def test_devices_that_compile_for_long_keep_what_they_compiled(folder, device):
    assert with_cache(BackendSettings(device=device)).cache_folder == folder
    assert folder.is_dir()


def test_a_cpu_makes_the_folder_only_when_there_is_something_to_keep(folder):
    assert with_cache(BackendSettings()).cache_folder == folder
    assert not folder.exists()


def test_a_folder_that_was_given_is_used(folder, tmp_path):
    settings = BackendSettings(device="gpu", cache_folder=tmp_path)
    assert with_cache(settings) is settings


def test_where_nothing_can_be_written_the_log_says_so(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEPOSE_CACHE", str(tmp_path / "file" / "cache"))
    assert with_cache(BackendSettings(device="tensorrt")).cache_folder is None
    assert "set EDGEPOSE_CACHE" in caplog.text


def test_the_users_cache_is_the_default(monkeypatch, tmp_path):
    for name in ("EDGEPOSE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path.home() / ".cache" / "edgepose"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgepose"
