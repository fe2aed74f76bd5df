"""Diagrams: the files of a bundle, the path of a frame, late answers of a remote head."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.figures.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, Canvas
from edgepose.inference.model import bundle_path

#: Files of a bundle: what each one is, and its colour.
_FILES = {
    "manifest.json": ("size and SHA-256 of each file, tensors, training data, accuracy", GREY),
    "head.onnx": ("the head: starts a track, and runs again now and then", ORANGE),
    "body.onnx": ("the light network: every frame", BLUE),
    "step.onnx": ("light network and propagation unit: every frame", BLUE),
    "propagate.onnx": ("the propagation unit alone: for late answers of a remote head", BLUE),
    "detector.onnx": ("the person detector: people in the whole frame", PURPLE),
    "springs.json": ("springs of Thin-Slicing: for refine=", GREEN),
}


def draw_bundle(path: Path) -> None:
    """Draw the files of the bundle ``ppn-swift``, with their sizes and tensors."""
    folder = bundle_path("ppn-swift")
    graphs = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["graphs"]
    files = [name for name in _FILES if (folder / name).is_file()]
    canvas = Canvas(860, 108 + 62 * len(files), "The files of a bundle")
    canvas.text((24, 28), "ppn-swift/", size=15, anchor="start", bold=True, mono=True)
    canvas.text((836, 28), "input → output of each graph", anchor="end", color=GREY)
    top = 50
    for number, name in enumerate(files):
        purpose, color = _FILES[name]
        y = top + 62 * number
        canvas.box((24, y), (170, 48), [name, _size(folder / name)], color=color)
        canvas.text((212, y + 15), purpose, anchor="start")
        tensors = _tensors(graphs.get(name.removesuffix(".onnx"), {}))
        canvas.text((212, y + 35), tensors, size=11, anchor="start", color=GREY, mono=True)
    bottom = top + 62 * len(files) + 22
    canvas.text((24, bottom), "A file that differs from its SHA-256 is refused.", anchor="start")
    canvas.write(path)


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _tensors(graph: dict[str, list[dict[str, object]]]) -> str:
    if not graph:
        return ""
    sides = [", ".join(map(_tensor, graph[side])) for side in ("inputs", "outputs")]
    return " → ".join(sides)


def _tensor(tensor: dict[str, object]) -> str:
    shape = tensor["shape"]
    assert isinstance(shape, list)  # noqa: S101 - the manifest was validated when it was written
    return f"{tensor['name']} {'×'.join(map(str, shape[1:]))}"


def draw_frame_path(path: Path) -> None:
    """Draw what happens to a frame, from the source to the callback."""
    canvas = Canvas(860, 372, "The path of a frame")
    width, height = 132, 58
    columns = [24 + 170 * number for number in range(5)]

    def box(column: int, y: float, lines: list[str], color: str = GREY) -> None:
        canvas.box((columns[column], y), (width, height), lines, color=color)

    def link(column: int, y: float) -> None:
        start = columns[column] + width
        canvas.arrow([(start, y + height / 2), (columns[column + 1] - 2, y + height / 2)])

    for column, lines in enumerate(
        [["source", "file, camera, array"], ["queue", "wait, or drop"], ["step", "by the deadline"]]
    ):
        box(column, 30, lines)
        link(column, 30)
    box(3, 30, ["region", "of the last pose"], BLUE)
    box(3, 116, ["person search", "no track yet"], PURPLE)
    canvas.arrow([(columns[2] + width + 18, 59), (columns[2] + width + 18, 145), (532, 145)])
    link(3, 30)
    box(4, 30, ["crop", "192 × 192"])
    canvas.arrow([(columns[3] + width, 145), (columns[4] + 40, 145), (columns[4] + 40, 90)])
    _draw_networks(canvas, columns[4], width)
    for column, lines in enumerate(
        [
            ["callback", "on_result"],
            ["PoseResult", "origin, age, latency"],
            ["keep or refine", "some frames later"],
            ["smoothing", "One-Euro filter"],
        ]
    ):
        box(column, 288, lines, GREEN if column == 1 else GREY)
    for column in range(4):
        y = 288 + height / 2
        canvas.arrow([(columns[column + 1], y), (columns[column] + width + 2, y)])
    canvas.write(path)


def _draw_networks(canvas: Canvas, left: float, width: float) -> None:
    """Draw the choice between the networks, and the joints that come of it."""
    center = left + width / 2
    canvas.box((left, 180), (width, 58), ["network", "head, light or none"], color=ORANGE)
    canvas.arrow([(center + 30, 88), (center + 30, 178)])
    canvas.box((left, 288), (width, 58), ["joints", "peaks of heat-maps"])
    canvas.arrow([(center, 238), (center, 286)])
    canvas.text((left - 12, 196), "initialised: the head", anchor="end", color=GREY, size=12)
    canvas.text((left - 12, 212), "propagated: light network", anchor="end", color=GREY, size=12)
    canvas.text((left - 12, 228), "predicted: no network", anchor="end", color=GREY, size=12)


def draw_late_answers(path: Path) -> None:
    """Draw how the answer of a remote head is propagated to the frame of its arrival."""
    canvas = Canvas(860, 330, "Late answers of a remote head are merged")
    xs = [190 + 110 * number for number in range(6)]
    rows = {"light network": 70, "stored": 140, "server": 215, "results": 285}
    for name, y in rows.items():
        canvas.text((24, y), name, anchor="start", bold=True)
    for number, x in enumerate(xs):
        canvas.text((x, 28), "t" if number == 0 else f"t + {number}", color=GREY)
        canvas.dot((x, rows["light network"]), 9, color=BLUE)
        canvas.arrow([(x, 81), (x, 128)], color=BLUE)
        canvas.box((x - 26, rows["stored"] - 11), (52, 22), color=GREY)
        merged = number >= 4
        canvas.dot((x, rows["results"]), 9, color=ORANGE if merged else BLUE)
    canvas.box((xs[0] + 24, 200), (300, 30), ["head network on frame t, 100 ms"], color=ORANGE)
    canvas.arrow(
        [(xs[0] - 8, 79), (xs[0] - 50, 110), (xs[0] - 50, 215), (xs[0] + 22, 215)], color=ORANGE
    )
    canvas.text((xs[0] - 58, 178), "crop", anchor="end", color=ORANGE, size=12)
    for number in range(3):
        start, end = xs[number] + 26, xs[number + 1] - 26
        canvas.arrow([(start, rows["stored"]), (end - 1, rows["stored"])], color=ORANGE)
    end = xs[0] + 324
    answer = [(end, 215), (end + 16, 215), (end + 16, 178), (xs[0], 178), (xs[0], 153)]
    canvas.arrow(answer, color=ORANGE)
    canvas.text((end - 60, 168), "answer", color=ORANGE, size=12)
    canvas.arrow([(xs[3] + 26, rows["stored"]), (xs[4] - 14, 272)], color=ORANGE)
    canvas.text((xs[4] + 4, 245), "propagated and merged", color=ORANGE, size=12, anchor="start")
    for number in range(5):
        canvas.line([(xs[number] + 9, rows["results"]), (xs[number + 1] - 9, rows["results"])])
    canvas.text((430, 314), "one result for each frame, without waiting", color=GREY, size=12)
    canvas.write(path)
