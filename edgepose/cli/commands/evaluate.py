"""``edgepose evaluate``: accuracy on annotated clips, and on people in photos."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgepose.benchmarking.peers import choose_peers
from edgepose.cli.engine_options import add_engine_options, engine_options
from edgepose.cli.evaluation_options import (
    add_comparison_options,
    add_data_options,
    add_protocol_options,
)
from edgepose.cli.evaluation_text import evaluation_text, tables_text
from edgepose.cli.tracking_modes import refuse_modes
from edgepose.datasets.people_clips import read_people_clips
from edgepose.datasets.root import data_root
from edgepose.evaluation.data_sets import (
    EVERYDAY,
    SEVERAL,
    Selection,
    data_set,
    select_clips,
)
from edgepose.evaluation.everyday_report import everyday_as_json, everyday_tables
from edgepose.evaluation.metrics.scoring import measures_for
from edgepose.evaluation.protocols.candidates import Segment, as_tracker, in_boxes
from edgepose.evaluation.protocols.everyday import PhotoPredictor, score_all
from edgepose.evaluation.protocols.gt_box import CropConvention
from edgepose.evaluation.protocols.modes import in_mode, mode_label
from edgepose.evaluation.protocols.runner import Candidate, Run, run_all
from edgepose.evaluation.protocols.several import as_people_tracker
from edgepose.evaluation.report import as_json, averages_as_json
from edgepose.evaluation.several_report import (
    people_as_json,
    people_tables,
    score_people_in_videos,
)
from edgepose.evaluation.splits import are_as_published, average_runs, parts_of
from edgepose.evaluation.uncertainty import (
    Row,
    figure_names,
    resample_score,
    uncertainty_as_json,
)
from edgepose.inference.model import DEFAULT_MODEL, DEFAULT_THREADS, PoseModel, load
from edgepose.utils.machine import usable_cores
from edgepose.utils.output_files import check_writable, create_file
from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.errors import ConfigError

DEFAULT_SEGMENTS: tuple[Segment, ...] = ("body", 5, None)
DEFAULT_ALPHAS = (0.2, 0.1)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy on annotated clips and people",
        description="Prints accuracy with 95 % confidence intervals (bootstrap over films or "
        "photos), and of several models the differences with theirs.",
        epilog="Examples: edgepose evaluate ppn-swift --grade A --segment-length body,5,never; "
        "edgepose evaluate ppn-swift --dataset everyday --peers movenet,rtmpose; "
        "edgepose evaluate ppn-swift --protocol tracker --key-frames auto --key-frames file",
    )
    parser.add_argument(
        "model",
        nargs="*",
        default=[DEFAULT_MODEL],
        help="name or folder of a bundle; with --split all maybe one for each split",
    )
    add_comparison_options(parser)
    add_data_options(parser)
    add_protocol_options(parser)
    add_engine_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables and write the JSON; return the exit code."""
    if args.json:
        check_writable(args.json)
    protocols = {EVERYDAY: _evaluate_people, SEVERAL: _evaluate_several}
    content = protocols.get(args.dataset, _evaluate_clips)(args)
    if args.json:
        _write_json(args.json, content)
    return 0


def _evaluate_clips(args: argparse.Namespace) -> dict[str, Any]:
    """Print the tables of clips; return all figures as plain data."""
    selection, measures = _selection(args), measures_for(args.alpha or DEFAULT_ALPHAS)
    parts = parts_of(selection)
    models = _one_for_each(args.model, parts)
    clips = [select_clips(part) for part in parts]
    with ExitStack() as opened:
        loaded = _load_all([*models, *args.compare], args, opened)
        in_use = {name: model.precision for name, model in loaded.items()}
        compared = [each for name in args.compare for each in _candidates(loaded[name], args)]
        compared += _peers(args, opened)
        candidates = [[*_candidates(loaded[name], args), *compared] for name in models]
        _require_alike(candidates)
        runs = [run_all(*part, measures) for part in zip(candidates, clips, strict=True)]
    rows = [_resampled(done, args.dataset) for done in runs]
    as_published = _protocol(args) == "gt-box" and are_as_published(parts)
    sys.stdout.write(evaluation_text(runs, rows, parts, measures, as_published))
    names = figure_names(measures)
    each = [
        as_json(
            done,
            read,
            part,
            **_settings(args, name),
            precision_in_use=in_use[name],
            uncertainty=uncertainty_as_json(row, names, "films"),
        )
        for done, row, read, part, name in zip(runs, rows, clips, parts, models, strict=True)
    ]
    return averages_as_json(average_runs(runs), each, selection) if len(parts) > 1 else each[0]


def _evaluate_people(args: argparse.Namespace) -> dict[str, Any]:
    """Print the tables of people in photos; return all figures as plain data."""
    _refuse_for_people(args)
    (name,) = _one_for_each(args.model, [_selection(args)])
    people = select_clips(_selection(args))
    with ExitStack() as opened:
        models = _load_all([name, *args.compare], args, opened)
        candidates = [
            *(Candidate(models[each].name, PhotoPredictor(models[each])) for each in models),
            *_peers(args, opened),
        ]
        scores = score_all(candidates, people)
        precision = models[name].precision
    rows = [Row(score.label, score.resampled()) for score in scores]
    sys.stdout.write(tables_text(everyday_tables(scores, rows)))
    settings = {**_settings(args, name), "protocol": EVERYDAY, "precision_in_use": precision}
    return everyday_as_json(scores, rows, **settings)


def _evaluate_several(args: argparse.Namespace) -> dict[str, Any]:
    """Print the tables of videos of several people; return all figures as plain data."""
    _refuse_for_people(args, "split", "limit_clips", "skip_broken", "peers")
    root = _selection(args).root or data_root() / SEVERAL
    names = [*args.model, *args.compare]
    clips = read_people_clips(root)
    with ExitStack() as opened:
        models = _load_all(names, args, opened)
        scores = score_people_in_videos(list(map(as_people_tracker, models.values())), clips)
        precision = models[names[0]].precision
    sys.stdout.write(tables_text(people_tables(scores)))
    settings = {**_settings(args, names[0]), "protocol": SEVERAL, "precision_in_use": precision}
    return people_as_json(scores, **settings)


def _refuse_for_people(args: argparse.Namespace, *more: str) -> None:
    """Refuse options that mean something for clips alone."""
    refuse_modes(args)
    of_clips = "protocol", "segment_length", "flip", "scales", "crop", "alpha", "grade", "full_body"
    names = [*of_clips, *more]
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name)]
    if given:
        raise ConfigError(
            f"{', '.join(given)} cannot be used with --dataset {args.dataset}, whose protocol is "
            "fixed. Leave that out."
        )


def _resampled(runs: Sequence[Run], dataset: str) -> list[Row]:
    headline = data_set(dataset).headline
    return [Row(run.candidate.label, resample_score(run.score, headline)) for run in runs]


def _one_for_each(models: Sequence[str], parts: Sequence[Selection]) -> Sequence[str]:
    if len(models) not in (1, len(parts)):
        raise ConfigError(
            f"{len(models)} models were given for {len(parts)} splits; give one for all of them, "
            "or one for each with --split all."
        )
    return models if len(models) == len(parts) else [*models] * len(parts)


def _load_all(
    names: Sequence[str], args: argparse.Namespace, opened: ExitStack
) -> dict[str, PoseModel]:
    """Load each model once; one to compare with has its own name in the tables."""
    models: dict[str, PoseModel] = {}
    for name in dict.fromkeys(names):
        model = opened.enter_context(_load(name, args))
        if name in args.compare and model.name in (each.name for each in models.values()):
            model.name = name  # as it was typed: both bundles say that they are called the same
        models[name] = model
    return models


def _load(model: str, args: argparse.Namespace) -> PoseModel:
    return load(model, **engine_options(args))


def _peers(args: argparse.Namespace, opened: ExitStack) -> list[Candidate]:
    """Open other networks, as they are published: in float32."""
    threads = args.num_threads or min(DEFAULT_THREADS, usable_cores())
    settings = BackendSettings(
        device=args.device, precision="float32", num_threads=threads, batch=1
    )
    chosen = [(peer, peer.require_weights(args.weights)) for peer in choose_peers(args.peers)]
    backend = get_backend(args.backend)
    return [
        Candidate(
            peer.name,
            peer.predictor(opened.enter_context(backend.load(path, settings=settings))),
            peer.note,
        )
        for peer, path in chosen
    ]


def _require_alike(candidates: Sequence[Sequence[Candidate]]) -> None:
    kinds = {tuple(each.predictor.skeleton.name for each in part) for part in candidates}
    if len(kinds) > 1:
        raise ConfigError(
            "The models of the splits are to be averaged: give models of one method and skeleton."
        )


def _settings(args: argparse.Namespace, model: str) -> dict[str, Any]:
    names = ("backend", "device", "precision", "flip", "scales", "crop", "compare", "peers")
    chosen = {name: getattr(args, name) for name in names}
    modes = [mode_label(mode) for mode in args.modes]
    return {"model": model, "protocol": _protocol(args), **chosen, "modes": modes}


def _protocol(args: argparse.Namespace) -> str:
    return args.protocol or "gt-box"


def _selection(args: argparse.Namespace) -> Selection:
    root = args.root if args.data_root is None else args.data_root / args.dataset
    return Selection(
        data=args.dataset,
        root=root,
        split=args.split,
        grade=args.grade,
        full_body=args.full_body,
        limit=args.limit_clips,
        skip_broken=args.skip_broken,
    )


def _candidates(model: PoseModel, args: argparse.Namespace) -> list[Candidate]:
    if _protocol(args) == "gt-box":
        refuse_modes(args)
        segments = args.segment_length or DEFAULT_SEGMENTS
        crop: CropConvention = args.crop or "person"
        scales = args.scales or (1.0,)
        return in_boxes(model, segments, flip=args.flip, scales=scales, crop=crop)
    if args.segment_length or args.flip or args.scales or args.crop:
        raise ConfigError(
            "--segment-length, --flip, --scales and --crop belong to --protocol gt-box: "
            "the tracker decides for itself. Leave them out."
        )
    modes = [in_mode(model, mode) for mode in args.modes]
    return [as_tracker(model), as_tracker(model, smoothing=False), *modes]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with create_file(path) as file:
        file.write((json.dumps(content, indent=1, default=str) + "\n").encode())
