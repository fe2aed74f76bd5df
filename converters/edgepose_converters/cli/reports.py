"""The reports that ``edgepose convert`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgepose.cli.tables import format_table
from edgepose_converters.checkpoints.importing import (
    CONVERTED,
    MATCHED,
    MISSING,
    UNUSED,
    ImportReport,
)
from edgepose_converters.export.verification import Agreement
from edgepose_runtime.bundles.bundle import Bundle

if TYPE_CHECKING:  # it loads NNCF
    from edgepose_converters.quantisation.int8 import Int8Report

_NO_JOINTS = "No joint scored enough to be compared: this tells of heat-maps only.\n"


def agreement_text(bundle: Bundle, agreements: Sequence[Agreement]) -> str:
    """Say how well the runtimes agree with torch, and what was written."""
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
    notes = "" if any(agreement.joints for agreement in agreements) else _NO_JOINTS
    return f"{format_table(rows)}{notes}{_written(bundle)}"


def int8_text(bundle: Bundle, report: Int8Report) -> str:
    """Say what int8 costs, what stayed float, and what was written."""
    rows = [("PCK-torso", "float32 @0.2", "int8 @0.2", "drop", "float32 @0.1", "int8 @0.1")]
    rows += [
        (
            part,
            f"{loss.float32.at_02:.2f}",
            f"{loss.int8.at_02:.2f}",
            f"{loss.points:.2f}",
            f"{loss.float32.at_01:.2f}",
            f"{loss.int8.at_01:.2f}",
        )
        for part, loss in report.losses.items()
    ]
    lines = [
        f"Float layers of {name}: {', '.join(layers) or 'none'}.\n"
        for name, layers in report.float_layers.items()
    ]
    lines += [
        f"Runtimes differ on {name} by {100 * difference:.1f} % of its heat-maps.\n"
        for name, difference in report.disagreement.items()
    ]
    return f"{format_table(rows)}{''.join(lines)}{_written(bundle)}"


def import_text(report: ImportReport) -> str:
    """Say what became of every weight: those taken as they are in a number, all others by name."""
    rows = [("fate", "in the file", "in the network", "shape")]
    rows += [
        (each.fate, each.key or "-", each.target or "-", "x".join(map(str, each.shape)) or "scalar")
        for each in report.of(CONVERTED, MISSING, UNUSED)
    ]
    table = format_table(rows) if len(rows) > 1 else ""
    counts = ", ".join(
        f"{report.count(fate)} {fate}" for fate in (MATCHED, CONVERTED, UNUSED, MISSING)
    )
    return f"{table}Weights: {counts}.\n"


def _written(bundle: Bundle) -> str:
    sizes = ", ".join(
        f"{graph.file} {graph.num_bytes / 1e6:.1f} MB" for graph in bundle.manifest.graphs.values()
    )
    return f"Wrote the bundle {bundle.path}: {sizes}.\n"
