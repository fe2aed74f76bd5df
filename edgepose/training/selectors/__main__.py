"""``python -m edgepose.training.selectors``: train K-FPN and its form for streams on JHMDB clips.

``published``: on a frozen ResNet-50 of ImageNet, by Eq. 16 on what it has learned to see.
``edge``: on the body network's own trunk at 96 pixels, by Eq. 16 on the poses that the body says.
No label is used, except that the edge form looks at the body's poses in annotated boxes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import parameters_to_vector

from edgepose.datasets.clips import Clip
from edgepose.datasets.readers.jhmdb import read_jhmdb_clips, read_jhmdb_videos
from edgepose.datasets.root import data_root
from edgepose.evaluation.boxes import person_boxes
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.models.keyframes.kfpn import KFPN, PRESETS
from edgepose.models.keyframes.online import OnlineConfig, OnlineDiscriminator
from edgepose.training.selectors.checkpoints import Selectors, save_selectors
from edgepose.training.selectors.features import (
    Backbone,
    kept_features,
    resnet_of,
    trunk_of_body,
)
from edgepose.training.selectors.kfpn import (
    RECIPES,
    Features,
    require_whole_window,
    train_online,
    train_selector,
)
from edgepose.training.selectors.rates import EPOCHS, ClipWithPoses, clip_with_poses, train_rates
from edgepose.utils.arguments import whole_number
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import DataError
from edgepose_runtime.geometry.crop import crop_frame

Each = TypeVar("Each")

#: Clips shorter than this say little about key frames.
SHORTEST = 15
#: What the forms for streams compare: Y, or the trunk's features.
_PUBLISHED_ONLINE = OnlineConfig(channels=64, grid=3, edge=True)
_EDGE_ONLINE = OnlineConfig(channels=64, grid=6, edge=True)


def train_published(
    clips: Sequence[Features], backbone: Backbone, recipe: str, epochs: int | None = None
) -> Selectors:
    """Train the published form on the features of clips, and show how that goes.

    Args:
        clips: (n, 2048, 7, 7) each.
        backbone: that they are of.
        recipe: of `PRESETS` and `RECIPES`.
        epochs: other than the recipe's.

    Raises:
        DataError: no clip is as long as a window, which the form for streams learns from.
    """
    require_whole_window(clips, _PUBLISHED_ONLINE.frames)
    torch.manual_seed(0)
    training = RECIPES[recipe].with_epochs(epochs)
    selector = KFPN(PRESETS[recipe])
    before = parameters_to_vector(selector.parameters()).detach()
    with show_progress("K-FPN", training.epochs) as progress:
        train_selector(
            selector, clips, training, lambda _, loss: progress.advance(note=f"{loss:.4f}")
        )
    moved = (parameters_to_vector(selector.parameters()).detach() - before).norm() / before.norm()
    sys.stderr.write(f"The weights moved by {100 * float(moved):.2g} % of their size.\n")
    online = OnlineDiscriminator(_PUBLISHED_ONLINE)
    return _with_online(Selectors(backbone, selector, online), clips)


def train_edge(
    clips: Sequence[ClipWithPoses], backbone: Backbone, epochs: int = EPOCHS
) -> Selectors:
    """Train the edge form, and show how that goes.

    Raises:
        DataError: no clip is as long as a window, which the form for streams learns from.
    """
    features = [clip.features.numpy() for clip in clips]
    require_whole_window(features, _EDGE_ONLINE.frames)
    with show_progress("K-FPN", epochs + 1) as progress:
        rates = train_rates(clips, epochs, lambda _, loss: progress.advance(note=f"{loss:.4f}"))
    return _with_online(Selectors(backbone, rates, OnlineDiscriminator(_EDGE_ONLINE)), features)


def _with_online(selectors: Selectors, clips: Sequence[Features]) -> Selectors:
    training = RECIPES["online-edge"]
    with show_progress("online", training.epochs) as progress:
        train_online(
            selectors.online,
            selectors.select,
            clips,
            training,
            lambda _, loss: progress.advance(note=f"{loss:.4f}"),
            selectors.compared,
        )
    return selectors


def clips_with_poses(
    clips: Sequence[Clip], model: PoseModel, features: Sequence[Features]
) -> list[ClipWithPoses]:
    """Return what the edge form learns from: the trunk's features and the body's poses."""
    found = []
    with show_progress("poses", len(clips)) as progress:
        for clip, seen in zip(clips, features, strict=True):
            found.append(clip_with_poses(clip.film, seen, body_poses(clip, model)))
            progress.advance()
    return found


def body_poses(clip: Clip, model: PoseModel) -> NDArray[np.float32]:
    """Return the poses (T, K, 3) of the body network alone in the boxes of a clip."""
    spec, found = model.method.spec, []
    for frame, box in zip(clip.frames(), person_boxes(clip), strict=True):
        roi = box.squared()
        crop = crop_frame(frame, roi, spec.input_size)
        found.append(spec.decode(model.method.locate(crop, roi), roi))
    return np.stack(found)


def main(words: Sequence[str] | None = None) -> None:
    """Compute the features of the training clips, train, and write the checkpoint.

    Raises:
        DataError: there is no clip.
    """
    args = _arguments(words)
    torch.set_num_threads(1)
    root = args.root or data_root() / "jhmdb"
    train = _published if args.form == "published" else _edge
    train(args, root)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=("published", "edge"))
    parser.add_argument("--body", type=Path, help="edge: checkpoint of the body network")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="edge: bundle with that body")
    parser.add_argument("--backbone", type=Path, help="published: a ResNet-50 of ImageNet")
    parser.add_argument(
        "--recipe", choices=tuple(PRESETS), default="working", help="published: how to train"
    )
    parser.add_argument(
        "--epochs", type=whole_number(1), metavar="N", help="other than the recipe's"
    )
    parser.add_argument("--root", type=Path, help="folder of the JHMDB clips")
    parser.add_argument(
        "--limit-clips",
        type=whole_number(1),
        metavar="N",
        help="every 2nd, 3rd, ... clip: at most N",
    )
    parser.add_argument(
        "--features", type=Path, metavar="DIR", help="keeps them (default: OUT/features)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/kfpn-FORM")
    args = parser.parse_args(words)
    needed = "body" if args.form == "edge" else "backbone"
    if getattr(args, needed) is None:
        parser.error(f"the form '{args.form}' needs --{needed} FILE.")
    args.out = args.out or Path(f"runs/kfpn-{args.form}")
    args.features = args.features or args.out / "features"
    return args


def _published(args: argparse.Namespace, root: Path) -> None:
    backbone, videos = resnet_of(args.backbone), read_jhmdb_videos(root)
    chosen = at_most(list(videos), args.limit_clips)
    clips = kept_features(backbone, {name: videos[name] for name in chosen}, args.features)
    selectors = train_published(clips, backbone, args.recipe, args.epochs)
    save_selectors(args.out / "checkpoint.pt", selectors, args.backbone)


def _edge(args: argparse.Namespace, root: Path) -> None:
    backbone, clips = trunk_of_body(args.body), read_jhmdb_clips(root, "train")
    clips = at_most([clip for clip in clips if len(clip) >= SHORTEST], args.limit_clips)
    frames = {clip.name: clip.frames for clip in clips}
    features = kept_features(backbone, frames, args.features)
    with load(args.model, num_threads=1) as model:
        examples = clips_with_poses(clips, model, features)
    selectors = train_edge(examples, backbone, args.epochs or EPOCHS)
    save_selectors(args.out / "checkpoint.pt", selectors)


def at_most(items: list[Each], count: int | None) -> list[Each]:
    """Return all, or every 2nd, 3rd, ... so that no more than so many are left.

    Raises:
        DataError: there is none.
    """
    if not items:
        raise DataError("There is no clip to train on; name another folder with --root.")
    return items[:: -(-len(items) // (count or len(items)))]


if __name__ == "__main__":
    main()
