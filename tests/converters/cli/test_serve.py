import pytest

from edgepose.cli.main import main


def test_without_triton_it_is_said_how_to_get_it(tmp_path, capsys):
    assert main(["serve", "--environment", str(tmp_path)]) == 1
    assert "edgepose serve --install" in capsys.readouterr().err


def test_a_bundle_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["serve", "nowhere", "--environment", str(tmp_path)]) == 1
    assert "'nowhere'" in capsys.readouterr().err


def test_half_of_a_certificate_is_refused(capsys):
    assert main(["serve", "--tls-cert", "cert.pem"]) == 2
    assert "--tls-cert and --tls-key belong together" in capsys.readouterr().err


def test_certificates_that_are_not_there_are_named(tmp_path, capsys):
    words = ["serve", "--environment", str(tmp_path), "--tls-cert", "no.pem", "--tls-key", "no.key"]
    assert main(words) == 2
    assert "'no.pem'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["--host", "0.0.0.0"], True),
        (["--host", "192.168.1.2"], True),
        (["--host", "127.0.0.1"], False),
        ([], False),
        (["--host", "0.0.0.0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"], False),
    ],
)
def test_listening_to_others_without_encryption_is_warned_of(
    tmp_path, monkeypatch, capsys, words, warned
):
    monkeypatch.chdir(tmp_path)
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    assert main(["serve", "--environment", str(tmp_path), *words]) == 1  # there is no Triton
    said = capsys.readouterr().err
    assert ("without encryption or authentication" in said) == warned


@pytest.mark.parametrize("words", [["--port", "99999"], ["--port", "8000"]])
def test_ports_that_cannot_be_are_refused(words, capsys):
    assert main(["serve", *words]) == 2
    assert "three ports from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["onnxruntime", "tensorrt", "python"])
def test_a_bundle_becomes_a_model_repository(tmp_path, capsys, platform):
    out = tmp_path / "models"
    words = ["convert", "ppn-swift", str(out), "--to", "triton", "--platform", platform]
    assert main(words) == 0
    assert (out / "ppn-swift-head" / "config.pbtxt").is_file()
    assert "Wrote the model repository" in capsys.readouterr().out


def test_an_address_that_is_none_ends_tracking_before_it_begins(sample_clip, capsys):
    assert main(["track", str(sample_clip), "--remote-head", "host:8001"]) == 2
    assert "grpc://host:8001" in capsys.readouterr().err
