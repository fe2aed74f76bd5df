"""The JSON of ``edgepose benchmark``, as far as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepose.benchmarking.accuracy import ALPHAS, BOXES, TRACKER
from edgepose.benchmarking.candidates import PEER, STEP
from edgepose.benchmarking.result import FORMAT, REFERENCE, VERSION
from edgepose.benchmarking.tasks import INFERENCE
from edgepose.stats import TOTAL
from edgepose_runtime.errors import DataError
from edgepose_runtime.files import read_json

MEASURES = tuple(f"PCK-torso@{alpha:g}" for alpha in ALPHAS)
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A model as it was timed.

    Attributes:
        name: of the bundle or peer.
        precision: that its networks computed in.
        threads: of its networks.
        is_peer: whether it is another library's.
        milliseconds: percentiles from frame to joints, ``p50`` and others by name.
        networks: median of its networks alone in ms.
        pck: accuracy in percent by protocol and measure; empty if it was not measured.
    """

    name: str
    precision: str
    threads: int
    is_peer: bool
    milliseconds: Mapping[str, float]
    networks: float | None
    pck: Mapping[str, Mapping[str, float]]

    @property
    def headline(self) -> tuple[float, ...] | None:
        """PCK of the tracker, or, of peers, in annotated boxes."""
        found = self.pck.get(BOXES if self.is_peer else TRACKER)
        return None if found is None else tuple(found[measure] for measure in MEASURES)


def read_benchmark(path: Path) -> Json:
    """Read the file that ``edgepose benchmark --json`` wrote.

    Raises:
        DataError: the file is missing, damaged, or of something else.
    """
    try:
        content: Json = read_json(path)
        kind = content.get("format"), content.get("version")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"'{path}' is not the JSON of a benchmark ({error}).") from error
    if kind != (FORMAT, VERSION):
        raise DataError(
            f"'{path}' has the format {kind}, not {(FORMAT, VERSION)}; give a file of "
            "edgepose benchmark --json."
        )
    return content


def rows_of(content: Json) -> list[Row]:
    """Return the models that were timed from frame to joints, in their order."""
    return [_row(each) for each in content["models"] if each["part"] in (STEP, PEER)]


def reference_of(rows: list[Row], threads: int) -> Row | None:
    """Return the model whose network is the measure of all, in float32 on as many threads."""
    found = [row for row in rows if (row.name, row.threads) == (REFERENCE, threads)]
    return next((row for row in found if row.precision == "float32"), next(iter(found), None))


def _row(model: Json) -> Row:
    stages, engine = model["milliseconds"], model["engine"]
    return Row(
        model["name"],
        engine["precision"].split(", ")[-1],
        engine["threads"],
        model["part"] == PEER,
        stages[TOTAL],
        stages.get(INFERENCE, {}).get("p50"),
        model.get("pck") or {},
    )
