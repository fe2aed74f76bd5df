from dataclasses import replace
from types import SimpleNamespace

import pytest

from edgepose.methods import build_method
from edgepose_runtime.errors import BundleFormatError


def networks(bundle, **changed):
    """Networks with the tensors of the manifest, some of them changed."""
    return {
        name: SimpleNamespace(
            inputs={spec.name: spec for spec in graph.inputs},
            outputs={
                spec.name: spec
                for spec in (replace(each, **changed.get(each.name, {})) for each in graph.outputs)
            },
        )
        for name, graph in bundle.manifest.graphs.items()
    }


@pytest.mark.parametrize(
    "change",
    [
        {"shape": ("N", 16, 64, 64)},
        {"shape": ("N", 13, 32, 32)},
        {"shape": ("N", 13, 64)},
        {"shape": ("N", 13, "H", "W")},
        {"dtype": "float16"},
        {"name": "scores"},
    ],
    ids=["other joints", "another size", "a dimension less", "any size", "another type", "a name"],
)
def test_a_graph_that_is_not_what_the_manifest_says_is_refused(puppet_bundle, change):
    with pytest.raises(BundleFormatError, match=r"graph '(head|step)' is not what the manifest"):
        build_method(puppet_bundle.manifest, networks(puppet_bundle, heatmaps=change))


@pytest.mark.parametrize("batch", [1, 4, "N", "D0"])
def test_a_network_may_have_fixed_its_batch(puppet_bundle, batch):
    change = {"shape": (batch, 13, 64, 64)}
    build_method(puppet_bundle.manifest, networks(puppet_bundle, heatmaps=change))
