"""Configurations: what is read, and in which line an error is."""

import pytest

from edgepose.cli.main import main
from edgepose.service.config_file import read_config
from edgepose_runtime.errors import ConfigError

WHOLE = """
model = "ppn-swift"   # the default
deadline_ms = 40
num_threads = 1

[[camera]]
name = "door"
source = "rtsp://user:${DOOR_PASSWORD}@10.0.0.7/1"

[[camera]]
name = "yard"
source = "/dev/video0"
read_timeout_s = 2

[jsonl]
folder = "/tmp/poses"
max_minutes = 10

[mqtt]
host = "broker"
topic = "home/poses"

[preview]
address = "127.0.0.1:9000"
allowed_hosts = ["box.example"]
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "service.toml"


@pytest.fixture
def read(path):
    def read(text):
        path.write_text(text)
        return read_config(path, {"DOOR_PASSWORD": "hunter2"})

    return read


def test_everything_in_one_file(read):
    config = read(WHOLE)
    assert [camera.name for camera in config.camera] == ["door", "yard"]
    assert config.camera[0].source == "rtsp://user:hunter2@10.0.0.7/1"
    assert (config.deadline_ms, config.num_threads) == (40, 1)
    assert (config.jsonl.max_minutes, config.jsonl.max_megabytes) == (10, 100)
    assert (config.mqtt.host, config.mqtt.topic) == ("broker", "home/poses")
    assert config.preview.allowed_hosts == ("box.example",)
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("model = 1", 1, "must be a text; got 1"),
        ("\n\nmodle = 'x'", 3, "Unknown option 'modle' in the file; known are backend"),
        ("a = [", 1, "is not valid TOML"),
        ("", 0, r"There is no camera; add a table \[\[camera\]\]"),
        ("[camera]\nname = 'a'", 1, r"in double brackets"),
        ("[[camera]]\nname = 'a'", 1, "lacks source"),
        ("[[camera]]\nname = 'a/b'\nsource = '0'", 2, "letters, digits"),
        (
            "[[camera]]\nname = 'a'\nsource = '0'\n[[camera]]\nname='b'\nsource='${NONE}'",
            6,
            "The variable NONE is not set",
        ),
        ("[[camera]]\nname='a'\nsource='0'\n[jsonl]\nfolder='x'\nmax_minutes=0", 6, "above 0"),
        ("[[camera]]\nname='a'\nsource='0'\n[mqtt]\nhost='b'\ntopic='a/#'", 6, "topic"),
        ("[[camera]]\nname='a'\nsource='0'\n[mqtt]\nhost='b'\nport=true", 6, "whole number"),
        ("[[camera]]\nname='a'\nsource='0'\n[preview]\nmax_width='wide'", 5, "whole number"),
        ("[[camera]]\nname='a'\nsource='0'\n[[camera]]\nname='a'\nsource='1'", 0, "Two cameras"),
        ("deadline_ms = nan", 1, "finite number"),
    ],
)
def test_an_error_says_where_it_is(read, path, text, line, sentence):
    with pytest.raises(ConfigError, match=sentence) as raised:
        read(text)
    said = str(raised.value)
    assert str(path) in said or not line
    if line and "TOML" not in said:
        assert f"line {line}:" in said


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml.* cannot be read"):
        read_config(tmp_path / "none.toml")


def test_check_opens_nothing_and_says_what_is_wrong(path, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEPOSE_PREVIEW_TOKEN", raising=False)
    camera = "[[camera]]\nname = 'a'\nsource = 'rtsp://10.255.255.1/none'\n"
    path.write_text(f"{camera}[jsonl]\nfolder = '{tmp_path}/poses'\n[preview]\n")
    assert main(["run", str(path), "--check"]) == 0
    assert "fine, 1 cameras" in capsys.readouterr().out
    assert not (tmp_path / "poses").exists()
    for wrong, sentence in {
        "[preview]\naddress = '0.0.0.0'\n": "EDGEPOSE_PREVIEW_TOKEN",
        f"[jsonl]\nfolder = '{path}/x'\n": "is a file",
        "[preview]\ntoken_file = '/none'\n": "cannot be read",
    }.items():
        path.write_text(camera + wrong)
        assert main(["run", str(path), "--check"]) == 2
        assert sentence in capsys.readouterr().err
    path.write_text(f"model = 'nothing'\n{camera}")
    assert main(["run", str(path), "--check"]) == 1
    assert "There is no model 'nothing'" in capsys.readouterr().err
