from dataclasses import replace

from edgepose.cli.main import main
from edgepose_runtime.bundles.bundle import write_bundle


def test_a_bundles_card_says_what_it_is(puppet_bundle, capsys):
    assert main(["models", str(puppet_bundle.path)]) == 0
    card = capsys.readouterr().out
    assert card.startswith("puppet\n")
    for fact in (
        "method: propagation",
        "skeleton: penn13 (13 joints)",
        "input: 256x256",
        "reinitialise every: never",
        "head: head.onnx",
        "training:\n    data: none",
    ):
        assert fact in card


def test_the_shipped_bundles_are_listed(capsys, monkeypatch, puppet_bundle):
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", puppet_bundle.path.parent)
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("puppet\n")


def test_an_installation_without_bundles_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("edgepose.inference.model._BUNDLES", tmp_path)
    assert main(["models"]) == 0
    assert "ships no models" in capsys.readouterr().out


def test_an_unknown_name_is_an_error(capsys):
    assert main(["models", "hercules"]) == 1
    assert "There is no model 'hercules'" in capsys.readouterr().err


def test_a_card_with_lists_is_written_out_in_words(puppet_bundle, tmp_path, capsys):
    manifest = replace(
        puppet_bundle.manifest,
        training={"sources": [{"kind": "people", "share": 0.5}, {"kind": "lspet", "share": 0.2}]},
    )
    graphs = {name: puppet_bundle.graph_path(name).read_bytes() for name in manifest.graphs}
    write_bundle(tmp_path / "puppet", manifest, graphs)
    assert main(["models", str(tmp_path / "puppet")]) == 0
    assert "sources: kind people, share 0.5; kind lspet, share 0.2" in capsys.readouterr().out
