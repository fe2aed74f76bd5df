"""Accuracy on the same frames with the same boxes: a model of ours and its peers.

``python -m benchmarks accuracy --help`` lists the options. Writes ``accuracy.json`` with every
figure and ``accuracy.md`` with the tables.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.clip_options import add_clip_options, selection
from edgepose.benchmarking.peers import PEERS
from edgepose.datasets.clips import Clip
from edgepose.evaluation.data_sets import data_set, select_clips
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.candidates import PAPER_SEGMENTS, as_tracker, in_boxes
from edgepose.evaluation.protocols.runner import Candidate, Run, run_all
from edgepose.evaluation.report import as_json, markdown, measure_table, summary_table
from edgepose.inference.model import DEFAULT_MODEL, open_model
from edgepose.utils.machine import describe_machine
from edgepose_runtime.backends import BackendSettings, get_backend

ALPHAS = (0.2, 0.1)
NO_MODEL = "none"
OUT = Path(__file__).parent / "out"


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks accuracy", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="bundle, or 'none': peers alone")
    add_clip_options(parser)
    parser.add_argument("--backend", default="openvino", help="runs all networks, ours and others")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="folder of the peers' weights")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Evaluate all models, print the tables and write the results."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = selection(args)
    clips = select_clips(chosen)
    with ExitStack() as opened:
        runs = run_all(candidates(args, opened), clips, measures_for(ALPHAS))
    text = tables(runs, clips, data_set(chosen.data).headline)
    content = as_json(runs, clips, chosen, machine=describe_machine())
    (args.out / "accuracy.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
    (args.out / "accuracy.md").write_text(text)
    print(text)


def candidates(args: argparse.Namespace, opened: ExitStack) -> list[Candidate]:
    """Our model in every segment length and as a tracker, and the peers whose weights are here."""
    found = []
    settings = BackendSettings(precision="float32", num_threads=args.threads, batch=1)
    if args.model != NO_MODEL:
        model = opened.enter_context(open_model(args.model, args.backend, settings))
        found += in_boxes(model, PAPER_SEGMENTS)
        found += [as_tracker(model, smoothing=smoothing) for smoothing in (False, True)]
    for peer in PEERS:
        weights = peer.weights(args.weights)
        if weights is None:
            print(f"{peer.name} is left out: {peer.how_to_get()}.")
            continue
        network = opened.enter_context(get_backend(args.backend).load(weights, settings=settings))
        found.append(Candidate(peer.name, peer.predictor(network), peer.note))
    return found


def tables(runs: Sequence[Run], clips: Sequence[Clip], headline: str) -> str:
    """All tables in Markdown: all clips, those that show the whole body, and every measure."""
    whole = {clip.name for clip in clips if clip.full_body}
    parts = [_section(f"All {len(clips)} clips", markdown(summary_table(runs, headline)))]
    if whole:
        of_whole = [run.only(whole) for run in runs]
        table = markdown(summary_table(of_whole, headline))
        parts.append(_section(f"The {len(whole)} clips that show the whole body", table))
    for measure in runs[0].score.measures:
        parts.append(_section(measure.label, markdown(measure_table(runs, measure))))
    notes = [f"{run.candidate.label}: {run.candidate.note}." for run in runs if run.candidate.note]
    return "\n".join([*parts, *notes]) + "\n"


def _section(title: str, table: str) -> str:
    return f"### {title}\n\n{table}"


if __name__ == "__main__":
    main()
