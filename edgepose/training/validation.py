"""Validation inside the loop: PCK-torso on the JHMDB clips whose films training never sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgepose.datasets.clips import Clip
from edgepose.datasets.root import data_root
from edgepose.evaluation.boxes import image_square, person_boxes
from edgepose.evaluation.data_sets import Selection, select_clips
from edgepose.evaluation.metrics.pck import PckCounts, pck_counts, torso_lengths
from edgepose.models import DKD, PPN
from edgepose.training.config.settings import TrainConfig
from edgepose.training.tasks.networks import load_trained, network_input
from edgepose.training.tasks.previous_heatmaps import realign
from edgepose_runtime.geometry.roi import Roi, roi_transform
from edgepose_runtime.heatmaps.decoding import cells_to_frame, decode_heatmaps
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import PENN13

ALPHAS = (0.2, 0.1)
EVERY = 5
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class _Sample:
    """Some frames of one clip: uint8 (T, S, S, 3) crops, what they show and truth (T, 13, 3)."""

    crops: Tensor
    rois: list[Roi]
    truth: NDArray[np.float32]

    @property
    def matrix(self) -> Tensor:
        """(T, 2, 3) from frame pixels to crop pixels."""
        size = self.crops.shape[1]
        return torch.from_numpy(np.stack([roi_transform(roi, size) for roi in self.rois]))


class Validator:
    """Measures a network on annotated clips, cropped around the annotated person as in training.

    A pose network sees every n-th frame of each clip. A PPN or DKD sees the first n-th part of each
    clip, frame after frame, started by its head (or its body, where it has no head).

    Args:
        config: gives geometry and skeleton.
        root: the data folder; clips are read from its ``jhmdb``.
        every: n.
        grade: only clips whose annotation has this grade.

    Raises:
        DataError: the clips are missing or damaged.
    """

    def __init__(
        self, config: TrainConfig, root: Path, every: int = EVERY, grade: str | None = "A"
    ) -> None:
        self._config = config
        whole = not config.of_sequences
        clips = select_clips(Selection(root=root / "jhmdb", split="val", grade=grade))
        self._samples = [_sample(clip, config, every, spread=whole) for clip in clips]

    @torch.inference_mode()
    def __call__(self, module: nn.Module) -> dict[str, float]:
        """PCK-torso in percent, the twelve limb joints pooled, by name as ``pck_torso@0.2``.

        A PPN's body or a DKD's encoder by itself is measured as well, as ``body_pck_torso@0.2``.
        """
        counts: dict[str, PckCounts] = {}
        for sample in self._samples:
            for name, heatmaps in self._heatmaps(module, sample):
                for alpha in ALPHAS:
                    key = f"{name}pck_torso@{alpha:g}"
                    found = self._counts(heatmaps, sample, alpha)
                    counts[key] = counts[key] + found if key in counts else found
        return {key: value.summary(PENN13).limbs12 for key, value in counts.items()}

    def _heatmaps(self, module: nn.Module, sample: _Sample) -> Iterator[tuple[str, Tensor]]:
        device = next(module.parameters()).device
        clip = network_input(sample.crops.to(device))
        if isinstance(module, DKD):
            final, alone = module(clip[None])
            yield "", final[0]
            yield "body_", alone[0]
            return
        if not isinstance(module, PPN):
            yield "", module(clip)
            return
        matrix = sample.matrix[None].to(device)
        _, final, body = module(
            clip[None],
            lambda previous, t: realign(
                previous, matrix[:, t - 1], matrix[:, t], self._config.targets
            ),
        )
        yield "", final[0]
        yield "body_", body[0]

    def _counts(self, heatmaps: Tensor, sample: _Sample, alpha: float) -> PckCounts:
        """Hits of the maps (T, K, h, h) of a sample."""
        targets = self._config.targets
        found = np.stack(
            [
                cells_to_frame(
                    decode_heatmaps(maps), roi, maps.shape[-1], targets.stride, targets.offset
                )
                for maps, roi in zip(heatmaps.float().cpu().numpy(), sample.rois, strict=True)
            ]
        )
        poses = convert_keypoints(found, self._config.joints, PENN13)
        lengths = torso_lengths(sample.truth, poses, PENN13)
        return pck_counts(poses, sample.truth, sample.truth[..., 2] > 0, lengths, alpha)


def validate_checkpoint(
    path: str | Path, *, root: Path | None = None, every: int = EVERY, grade: str | None = "A"
) -> dict[str, float]:
    """Measure the averaged weights of a checkpoint, also of a run that still goes on.

    Args:
        path: the checkpoint.
        root: the data folder; None for `edgepose.datasets.root.data_root`.
        every: see `Validator`; 1 takes all frames.
        grade: see `Validator`.

    Returns:
        ``step`` and PCK in percent, as `Validator` names it.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
        DataError: the clips are missing or damaged.
    """
    trained = load_trained(path)
    validator = Validator(trained.config, root or data_root(), every, grade)
    return {"step": trained.step, **validator(trained.module)}


def _sample(clip: Clip, config: TrainConfig, every: int, *, spread: bool) -> _Sample:
    view, in_image = config.crop_view, config.augmentation.convention == "image"
    count = -(-len(clip) // every)
    wanted = range(0, len(clip), every) if spread else range(count)
    boxes = person_boxes(clip)
    regions = [
        image_square(boxes[index], view.width) if in_image else boxes[index].squared()
        for index in wanted
    ]
    frames = (frame for index, frame in enumerate(clip.frames()) if index in wanted)
    crops = [view.crop(frame, roi) for frame, roi in zip(frames, regions, strict=True)]
    truth = convert_keypoints(clip.keypoints[list(wanted)], clip.skeleton, PENN13)
    shown = [view.region(roi) for roi in regions]
    return _Sample(torch.from_numpy(np.stack(crops)), shown, truth)
