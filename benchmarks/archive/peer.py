"""The same videos by rtmlib in a loop: RTMPose with ONNX Runtime."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.archive.speed import archive_speed, loop_speed
from edgepose.benchmarking.frames import sample_clip

#: As rtmlib's PoseTracker between two runs of its detector: the box around the last pose, of the
#: whole picture at first. Without a detector, so that rtmlib does less than it would.
_LOOP = """
import json, os, sys, time
from pathlib import Path
import cv2
from rtmlib import RTMPose
from rtmlib.tools.solution.pose_tracker import pose_to_bbox
cv2.setNumThreads(1)
if hasattr(os, "sched_setaffinity"):  # ONNX Runtime starts a thread per core
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
films, out, weights = sys.argv[1:]
network = RTMPose(weights, (192, 256), backend="onnxruntime", device="cpu")
began, frames, sure = time.perf_counter(), 0, 0.0
for path in sorted(Path(films).iterdir()):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    boxes = []
    with (Path(out) / (path.name + ".jsonl")).open("w") as lines:
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            poses, scores = network(frame, bboxes=boxes)
            boxes = [pose_to_bbox(poses[0])]
            row = {"frame": frames, "pose": poses[0].tolist(), "scores": scores[0].tolist()}
            lines.write(json.dumps(row) + "\\n")
            frames, sure = frames + 1, sure + float(scores[0].mean())
print(json.dumps([frames / (time.perf_counter() - began), sure / frames]))
"""


def compare_peer(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return frames per second of rtmlib, of a loop over our tracker and of an archive's worker."""
    reason = _missing(args.weights)
    if reason:
        return [f"Skipped: {reason}"]
    films = folder / "films"
    films.mkdir()
    for number in range(args.videos):
        shutil.copy(sample_clip(), films / f"{number:04d}.mp4")
    peer = loop = worker = score = 0.0
    for number in range(args.rounds):  # in turns, so that a slow spell hits all
        speed, score = _rtmlib(films, folder, args.weights)
        peer = max(peer, speed)
        loop = max(loop, loop_speed(films, folder))
        worker = max(worker, archive_speed(films, folder / f"out-{number}", 1))
    return [
        f"rtmlib in a loop: {peer:.1f} frames/s, mean score of its joints {score:.2f}. "
        f"edgepose in a loop: {loop:.1f}; one worker of an archive: {worker:.1f}.",
        f"A worker is {worker / peer:.2f} times as fast as rtmlib.",
    ]


def _missing(weights: Path) -> str | None:
    if find_spec("rtmlib") is None:
        return "rtmlib is not installed: pip install rtmlib."
    return None if weights.is_file() else f"there are no weights of RTMPose-s at '{weights}'."


def _rtmlib(films: Path, out: Path, weights: Path) -> tuple[float, float]:
    """Return frames per second on one core, and the mean score of joints."""
    command = [sys.executable, "-c", _LOOP, str(films), str(out), str(weights)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    speed, score = json.loads(done.stdout.splitlines()[-1])
    return speed, score
