"""``edgepose models``: the bundles that come with this installation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from edgepose.inference.model import available_models, bundle_path
from edgepose_runtime.bundles.bundle import Bundle, load_bundle

_CARD = ("training", "accuracy", "latency", "licence")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "models", help="list the models that come with edgepose"
    )
    parser.add_argument(
        "model", nargs="*", help="names or folders of bundles; all that are shipped by default"
    )


def run(args: argparse.Namespace) -> int:
    """Print each bundle's card."""
    names = args.model or available_models()
    cards = [_card(load_bundle(bundle_path(name))) for name in names]
    sys.stdout.write("\n".join(cards) or "This installation ships no models.\n")
    return 0


def _card(bundle: Bundle) -> str:
    manifest = bundle.manifest
    facts = {
        "method": manifest.method,
        "skeleton": f"{manifest.skeleton} ({manifest.num_joints} joints)",
        "input": "{}x{}".format(*manifest.input.view.shape[1::-1]),
        "precision": f"{manifest.precision}, weights {manifest.weights}",
        "reinitialise every": manifest.reinitialise_every or "never",
        "graphs": {
            name: f"{graph.file}, {graph.num_bytes / 1e6:.1f} MB"
            for name, graph in manifest.graphs.items()
        },
        **{part: getattr(manifest, part) for part in _CARD},
        "folder": bundle.path,
    }
    return "\n".join([manifest.name, *_lines(facts, "  ")]) + "\n"


def _lines(facts: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            if value:
                yield f"{indent}{name}:"
                yield from _lines(value, indent + "  ")
        elif isinstance(value, (list, tuple)):
            yield f"{indent}{name}: {'; '.join(map(_inline, value))}"
        else:
            yield f"{indent}{name}: {value}"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
