"""Published figures on the papers' own data, to print beside ours where the data is the same.

Only there: other clips, other boxes or another mean are not like for like.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PaperData = Literal["penn", "sub-jhmdb"]


class PaperRow(NamedTuple):
    """One row as printed, in percent at alpha 0.2; ``mean`` is whichever mean the paper took."""

    method: str
    head: float
    shoulder: float
    elbow: float
    wrist: float
    hip: float
    knee: float
    ankle: float
    mean: float


PAPER_TABLES: dict[tuple[PaperData, Literal["body", "torso"]], tuple[PaperRow, ...]] = {
    ("penn", "body"): (
        PaperRow("Park et al.", 62.8, 52.0, 32.3, 23.3, 53.3, 50.2, 43.0, 45.3),
        PaperRow("Nie et al. 2015", 64.2, 55.4, 33.8, 24.4, 56.4, 54.1, 48.0, 48.0),
        PaperRow("Iqbal et al.", 89.1, 86.4, 73.9, 73.0, 85.3, 79.9, 80.3, 81.1),
        PaperRow("Gkioxari et al.", 95.6, 93.8, 90.4, 90.7, 91.8, 90.8, 91.5, 91.8),
        PaperRow("Song et al. (Thin-Slicing)", 98.0, 97.3, 95.1, 94.7, 97.1, 97.1, 96.9, 96.5),
        PaperRow("Luo et al. (LSTM-PM)", 98.9, 98.6, 96.6, 96.6, 98.2, 98.2, 97.5, 97.7),
        PaperRow("DKD (SmallCPM)", 98.4, 97.3, 96.1, 95.5, 97.0, 97.3, 96.6, 96.8),
        PaperRow("DKD (ResNet-50)", 98.8, 98.7, 96.8, 97.0, 98.2, 98.1, 97.2, 97.8),
        PaperRow("K-FPN (ResNet-50)", 98.7, 98.7, 97.0, 95.3, 98.8, 98.7, 98.6, 98.0),
        PaperRow("PPN-Stable", 99.0, 99.3, 98.5, 98.3, 98.8, 98.8, 98.7, 98.8),
        PaperRow("PPN-Swift", 98.9, 99.2, 98.4, 97.9, 98.4, 98.6, 98.5, 98.5),
    ),
    ("penn", "torso"): (
        PaperRow("Luo et al. (LSTM-PM)", 96.0, 93.6, 92.4, 91.1, 88.3, 94.2, 93.5, 92.6),
        PaperRow("DKD (SmallCPM)", 96.0, 93.5, 92.0, 90.6, 87.8, 94.0, 93.1, 92.4),
        PaperRow("DKD (ResNet-50)", 96.6, 93.7, 92.9, 91.2, 88.8, 94.3, 93.7, 92.9),
        PaperRow("PPN-Stable", 96.1, 95.2, 94.8, 93.9, 89.1, 95.4, 95.2, 94.2),
        PaperRow("PPN-Swift", 96.1, 95.2, 94.4, 93.3, 88.8, 94.9, 94.9, 93.8),
    ),
    ("sub-jhmdb", "body"): (
        PaperRow("Park et al.", 79.0, 60.3, 28.7, 16.0, 74.8, 59.2, 49.3, 52.5),
        PaperRow("Nie et al. 2015", 80.3, 63.5, 32.5, 21.6, 76.3, 62.7, 53.1, 55.7),
        PaperRow("Iqbal et al.", 90.3, 76.9, 59.3, 55.0, 85.9, 76.4, 73.0, 73.8),
        PaperRow("Song et al. (Thin-Slicing)", 97.1, 95.7, 87.5, 81.6, 98.0, 92.7, 89.8, 92.1),
        PaperRow("Luo et al. (LSTM-PM)", 98.2, 96.5, 89.6, 86.0, 98.7, 95.6, 90.9, 93.6),
        PaperRow("DKD (ResNet-50)", 98.3, 96.6, 90.4, 87.1, 99.1, 96.0, 92.9, 94.0),
        PaperRow("K-FPN (ResNet-50)", 95.1, 96.4, 95.3, 91.3, 96.3, 95.6, 92.6, 94.7),
        PaperRow("PPN-Stable", 99.0, 98.3, 92.5, 90.9, 99.4, 98.3, 95.0, 96.4),
        PaperRow("PPN-Swift", 98.7, 98.0, 91.8, 90.7, 99.1, 98.2, 94.5, 95.9),
    ),
    ("sub-jhmdb", "torso"): (
        PaperRow("Luo et al. (LSTM-PM)", 92.7, 75.6, 66.8, 64.8, 78.0, 73.1, 73.3, 73.6),
        PaperRow("DKD (ResNet-50)", 94.4, 78.9, 69.8, 67.6, 81.8, 79.0, 78.8, 77.4),
        PaperRow("PPN-Stable", 95.7, 83.3, 71.7, 70.9, 84.0, 83.4, 81.8, 81.3),
        PaperRow("PPN-Swift", 95.1, 82.8, 71.3, 70.2, 83.5, 83.0, 81.1, 80.4),
    ),
}


def paper_rows(data: str, reference: str, alpha: float) -> tuple[PaperRow, ...]:
    """Return the published rows for this data set and measure; none for data that is not theirs."""
    if alpha != 0.2:
        return ()
    for (table_data, table_reference), rows in PAPER_TABLES.items():
        if (table_data, table_reference) == (data, reference):
            return rows
    return ()
