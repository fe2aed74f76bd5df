"""The files for systemd and containers fit the program."""

import re
import shutil
import subprocess

import pytest

from edgepose.service.check import check_config
from edgepose.service.config_file import read_config


@pytest.fixture
def deploy(project_root):
    return project_root / "deploy"


def test_the_example_is_a_configuration(deploy):
    config = read_config(deploy / "edgepose.toml", {"DOOR_PASSWORD": "x"})
    check_config(config)
    assert config.camera[0].name == "door"


def test_the_example_with_all_its_comments_is_one_too(deploy, tmp_path):
    text = (deploy / "edgepose.toml").read_text()
    whole = re.sub(r"^# (?=[\[\w]+.*[=\]])", "", text, flags=re.MULTILINE)
    path = tmp_path / "whole.toml"
    path.write_text(whole.replace("A service of", "# A service of").replace("${NAME}", "# "))
    config = read_config(path, {"DOOR_PASSWORD": "x", "MQTT_PASSWORD": "y"})
    assert [camera.name for camera in config.camera] == ["door", "yard"]
    assert (config.mqtt.port, config.mqtt.tls, config.device) == (8883, True, "cpu")


def test_systemd_understands_the_unit(deploy, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: apt-get install systemd)")
    unit = tmp_path / "edgepose.service"
    text = (deploy / "edgepose.service").read_text()
    program = shutil.which("true")
    unit.write_text(text.replace("/opt/edgepose/bin/edgepose", program))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    own = [line for line in done.stderr.splitlines() if "edgepose" in line]
    assert own == []


def test_the_unit_waits_for_ready_and_watches(deploy):
    text = (deploy / "edgepose.service").read_text()
    for line in ("Type=notify", "WatchdogSec=60", "Restart=always", "DynamicUser=yes"):
        assert line in text.splitlines()


def test_the_container_is_headless_and_has_no_rights(deploy):
    dockerfile = (deploy / "Dockerfile").read_text()
    assert "opencv-python-headless" in dockerfile
    assert re.search(r"^USER 10001$", dockerfile, re.MULTILINE)
    assert "HEALTHCHECK" in dockerfile
    assert "/livez" in dockerfile
    compose = (deploy / "compose.yaml").read_text()
    for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
        assert line in compose
