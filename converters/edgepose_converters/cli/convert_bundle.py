"""What ``edgepose convert`` does; its options are in :mod:`edgepose_converters.cli.convert`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from edgepose.datasets.root import data_root
from edgepose.inference.model import available_models, bundle_path
from edgepose.models.pose.coordinate_head import Grid
from edgepose_converters.checkpoints.bundle import BUNDLE_FORM, read_bundle_body
from edgepose_converters.checkpoints.importing import (
    BACKBONE_FORM,
    POSE_FORMS,
    check_weights_target,
    import_backbone,
    import_pose_network,
    save_weights,
)
from edgepose_converters.checkpoints.movenet import (
    MOVENET_FORM,
    import_movenet,
    restore_norms,
)
from edgepose_converters.checkpoints.rtmpose import (
    RTMPOSE_CARD,
    RTMPOSE_FORM,
    RTMPOSE_PREFIX,
    import_rtmpose,
    rtmpose_head,
    rtmpose_network,
)
from edgepose_converters.checkpoints.statistics_pictures import statistics_pictures
from edgepose_converters.checkpoints.trained import TrainedModel, load_model
from edgepose_converters.cli.reports import agreement_text, import_text, int8_text
from edgepose_converters.export.bundle_parts import with_body, with_flow_propagation, with_head
from edgepose_converters.export.bundling import (
    BundleOptions,
    averaged_head,
    build_bundle,
    require_same_maps,
    starting_network,
)
from edgepose_converters.export.rtmdet import Detector, import_rtmdet, with_detector
from edgepose_converters.export.verification import Crop, crops_from_clips, synthetic_crops
from edgepose_runtime.bundles.bundle import Bundle, check_bundle_target, load_bundle
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.files import read_json
from edgepose_runtime.geometry.crop import Size
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import COCO17, Skeleton, get_skeleton

_AVERAGE = "average"
_MADE_UP_FRAMES = 8


def run(args: argparse.Namespace) -> int:
    """Convert as the options say; return the exit code."""
    if args.form in _WEIGHT_FORMS:
        check_weights_target(args.out, overwrite=args.overwrite)
        return _WEIGHT_FORMS[args.form](args)
    check_bundle_target(args.out, overwrite=args.overwrite)
    if args.base is not None:
        return _exchange_body(args)
    detector = None if args.detector is None else import_rtmdet(args.detector)
    if args.precision != "int8" and _is_bundle(args.source):
        return _change(args, load_bundle(bundle_path(args.source)), detector)
    bundle = _make_int8(args) if args.precision == "int8" else _make_float(args, args.out)
    if detector is not None:
        with_detector(bundle, detector, bundle.path, overwrite=True)
    return 0


def _change(args: argparse.Namespace, bundle: Bundle, detector: Detector | None) -> int:
    """Write a copy of a bundle with another head, propagation or person detector."""
    if args.head is None and detector is None and args.propagation is None:
        raise ConfigError(
            f"{args.source} is a bundle already; ask for --precision int8, or for another --head, "
            "--propagation or --detector."
        )
    overwrite = args.overwrite
    if args.head is not None:
        bundle = _exchange_head(args, bundle)
        overwrite = True
    if args.propagation is not None:
        every = args.reinitialise_every
        bundle = with_flow_propagation(
            bundle, args.out, reinitialise_every=every, overwrite=overwrite
        )
        overwrite = True
    if detector is not None:
        with_detector(bundle, detector, args.out, overwrite=overwrite)
    named = (
        ("another head", args.head),
        ("propagation by optical flow", args.propagation),
        ("a person detector", detector),
    )
    what = " and ".join(name for name, given in named if given)
    sys.stdout.write(f"Wrote the bundle {args.out}, with {what}.\n")
    return 0


def _exchange_head(args: argparse.Namespace, bundle: Bundle) -> Bundle:
    if not args.head.startswith(RTMPOSE_PREFIX):
        raise ConfigError(
            f"The head of a bundle can be exchanged for {RTMPOSE_PREFIX}FILE; got {args.head!r}. "
            "For another one convert the checkpoint that the bundle was made of."
        )
    manifest = bundle.manifest
    grid, view = Grid(manifest.input.size, *astuple(manifest.heatmap)), manifest.input.view
    copy, agreements = with_head(
        bundle,
        _rtmpose_head(args, get_skeleton(manifest.skeleton), view, grid),
        args.out,
        _crops(args, (view.width, view.height)),
        is_final=args.head_is_final,
        description=RTMPOSE_CARD,
        overwrite=args.overwrite,
    )
    sys.stdout.write(agreement_text(copy, agreements))
    return copy


def _exchange_body(args: argparse.Namespace) -> int:
    parts = args.head, args.propagation, args.detector
    if _is_bundle(args.source) or args.precision == "int8" or any(parts):
        raise ConfigError(
            "--base takes the light network of a checkpoint into a float bundle, without --head, "
            "--propagation, --detector and int8: change these afterwards, with the new bundle as "
            "the source."
        )
    base, model = load_bundle(bundle_path(args.base)), _load(args)
    crops = _crops(args, (model.view.width, model.view.height))
    name = args.name or args.out.resolve().name
    copy, agreements = with_body(base, model, args.out, crops, name, overwrite=args.overwrite)
    sys.stdout.write(agreement_text(copy, agreements))
    return 0


def _make_float(args: argparse.Namespace, out: Path) -> Bundle:
    options = _options(args)
    model = _load(args)
    head = _head(args, model)
    crops = _crops(args, (model.view.width, model.view.height))
    bundle, agreements = build_bundle(model, out, options, crops, head=head)
    sys.stdout.write(agreement_text(bundle, agreements))
    return bundle


def _make_int8(args: argparse.Namespace) -> Bundle:
    # NNCF takes seconds to load, and only this needs it.
    from edgepose_converters.quantisation.int8 import Int8Options, quantise_bundle

    options = Int8Options(
        name=args.name or args.out.resolve().name,
        data=args.data_root or data_root(),
        max_drop=args.max_drop,
        float_layers=tuple(args.float_layers),
        int8_layers=tuple(args.int8_layers),
        calibration_frames=args.calibration_frames,
        limit_clips=args.limit_clips,
        overwrite=args.overwrite,
    )
    with TemporaryDirectory() as folder:
        if _is_bundle(args.source):
            source = load_bundle(bundle_path(args.source))
        else:
            source = _make_float(args, Path(folder) / "float")
        bundle, report = quantise_bundle(source, args.out, options)
    sys.stdout.write(int8_text(bundle, report))
    return bundle


def _import_backbone(args: argparse.Namespace) -> int:
    backbone, report = import_backbone(args.source)
    save_weights(backbone, args.out)
    sys.stdout.write(f"{import_text(report)}Wrote the weights {args.out}.\n")
    return 0


def _import_movenet(args: argparse.Namespace) -> int:
    skeleton = get_skeleton(args.skeleton or COCO17.name)
    network = import_movenet(args.source, skeleton)
    restore_norms(network, _statistics_pictures(args))
    save_weights(network, args.out)
    sys.stdout.write(f"Wrote the weights {args.out}, with the joints of {skeleton.name}.\n")
    return 0


def _import_rtmpose(args: argparse.Namespace) -> int:
    network: nn.Module
    network, report = import_rtmpose(args.source)
    if args.skeleton is not None:
        skeleton = get_skeleton(args.skeleton)
        network = rtmpose_network(args.source, skeleton, _statistics_pictures(args))
    save_weights(network, args.out)
    sys.stdout.write(f"{import_text(report)}Wrote the weights {args.out}.\n")
    return 0


def _statistics_pictures(args: argparse.Namespace) -> Tensor:
    return statistics_pictures(args.data_root or data_root())


def _import_bundle(args: argparse.Namespace) -> int:
    network = read_bundle_body(load_bundle(bundle_path(args.source)))
    save_weights(network, args.out)
    sys.stdout.write(f"Wrote the weights {args.out} of the body of {args.source}.\n")
    return 0


#: What each form that becomes a file of weights, and not a bundle, is read by.
_WEIGHT_FORMS = {
    BACKBONE_FORM: _import_backbone,
    MOVENET_FORM: _import_movenet,
    RTMPOSE_FORM: _import_rtmpose,
    BUNDLE_FORM: _import_bundle,
}


def _is_bundle(source: Path) -> bool:
    return source.is_dir() or str(source) in available_models()


def _load(args: argparse.Namespace) -> TrainedModel:
    if args.form not in POSE_FORMS:
        return load_model(args.source)
    model, report = import_pose_network(
        args.source,
        args.form,
        skeleton=None if args.skeleton is None else get_skeleton(args.skeleton),
        input_size=args.input_size,
        stride_in_1x1=args.stride_in_1x1,
    )
    sys.stdout.write(import_text(report))
    return model


def _options(args: argparse.Namespace) -> BundleOptions:
    return BundleOptions(
        name=args.name or args.out.resolve().name,
        weights=args.weights,
        score_threshold=args.score_threshold,
        reinitialise_every=args.reinitialise_every,
        head_is_final=args.head_is_final,
        card={} if args.model_card is None else _read_card(args.model_card),
        overwrite=args.overwrite,
    )


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = read_json(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The model card {path} cannot be read as JSON: {error}.") from error
    if not isinstance(card, dict):
        raise ConfigError(f"The model card {path} must be a JSON object.")
    return card


def _head(args: argparse.Namespace, model: TrainedModel) -> nn.Module | None:
    """Return the head that ``average``, a path, ``average:path`` or ``rtmpose:path`` stands for."""
    spec: str | None = args.head
    if spec is None:
        return None
    if spec.startswith(RTMPOSE_PREFIX):
        grid = Grid(model.input_size, *astuple(model.heatmap))
        return _rtmpose_head(args, model.skeleton, model.view, grid)
    averaged = spec == _AVERAGE or spec.startswith(f"{_AVERAGE}:")
    path = spec.removeprefix(_AVERAGE).removeprefix(":") if averaged else spec
    source = load_model(path) if path else model
    require_same_maps(model, source)
    return averaged_head(source, args.scales) if averaged else starting_network(source)


def _rtmpose_head(
    args: argparse.Namespace, skeleton: Skeleton, view: InputView, grid: Grid
) -> nn.Module:
    path = args.head.removeprefix(RTMPOSE_PREFIX)
    return rtmpose_head(path, skeleton, view, grid, _statistics_pictures(args))


def _crops(args: argparse.Namespace, size: Size) -> list[Crop]:
    if args.verify is None:
        return synthetic_crops(size, _MADE_UP_FRAMES)
    if args.verify_frames < 1:
        raise ConfigError(f"--verify-frames must be at least 1; got {args.verify_frames}.")
    with open_source(args.verify) as source:
        return crops_from_clips((frame.image for frame in source), size, args.verify_frames)
