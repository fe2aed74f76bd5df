"""What ``edgepose convert`` does; its options stand in ``edgepose.cli.convert``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from edgepose.cli.tables import format_table
from edgepose_converters.bundling import (
    BundleOptions,
    averaged_head,
    build_bundle,
    require_same_maps,
    starting_network,
)
from edgepose_converters.trained import TrainedModel, load_model
from edgepose_converters.verification import Agreement, Crop, crops_of, made_up_crops
from edgepose_runtime.bundle import Bundle, check_bundle_target
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError

_AVERAGE = "average"
_MADE_UP_FRAMES = 8
_NO_JOINTS = "No joint scored enough to be compared: this tells of heat-maps only.\n"


def run(args: argparse.Namespace) -> int:
    """Convert a checkpoint as the options say; return the exit code."""
    check_bundle_target(args.out, overwrite=args.overwrite)
    options = _options(args)
    model = load_model(args.checkpoint)
    head = _head(args.head, args.scales, model)
    crops = _crops(args, model.input_size)
    bundle, agreements = build_bundle(model, args.out, options, crops, head=head)
    sys.stdout.write(_report(bundle, agreements))
    return 0


def _options(args: argparse.Namespace) -> BundleOptions:
    return BundleOptions(
        name=args.name or args.out.resolve().name,
        weights=args.weights,
        score_threshold=args.score_threshold,
        reinitialise_every=args.reinitialise_every,
        card={} if args.card is None else _read_card(args.card),
        overwrite=args.overwrite,
    )


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The model card {path} cannot be read as JSON: {error}.") from error
    if not isinstance(card, dict):
        raise ConfigError(f"The model card {path} must be a JSON object.")
    return card


def _head(spec: str | None, scales: Sequence[float], model: TrainedModel) -> nn.Module | None:
    """Return the head that ``average``, a path, or ``average:path`` stands for."""
    if spec is None:
        return None
    averaged = spec == _AVERAGE or spec.startswith(f"{_AVERAGE}:")
    path = spec.removeprefix(_AVERAGE).removeprefix(":") if averaged else spec
    source = load_model(path) if path else model
    require_same_maps(model, source)
    return averaged_head(source, scales) if averaged else starting_network(source)


def _crops(args: argparse.Namespace, size: int) -> list[Crop]:
    if args.verify is None:
        return made_up_crops(size, _MADE_UP_FRAMES)
    if args.verify_frames < 1:
        raise ConfigError(f"--verify-frames must be at least 1; got {args.verify_frames}.")
    with open_source(args.verify) as source:
        return crops_of((frame.image for frame in source), size, args.verify_frames)


def _report(bundle: Bundle, agreements: Sequence[Agreement]) -> str:
    rows = [("compared", "with", "frames", "joints", "largest px", "p99 px", "mean px", "heat-map")]
    rows += [
        (
            agreement.runtime,
            agreement.reference,
            str(agreement.frames),
            str(agreement.joints),
            f"{agreement.largest_px:.4f}",
            f"{agreement.p99_px:.4f}",
            f"{agreement.mean_px:.5f}",
            f"{agreement.largest_change:.1e}",
        )
        for agreement in agreements
    ]
    sizes = ", ".join(
        f"{graph.file} {graph.num_bytes / 1e6:.1f} MB" for graph in bundle.manifest.graphs.values()
    )
    notes = "" if any(agreement.joints for agreement in agreements) else _NO_JOINTS
    return f"{format_table(rows)}{notes}Wrote the bundle {bundle.path}: {sizes}.\n"
