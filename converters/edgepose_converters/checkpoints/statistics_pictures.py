"""Pictures of people that the statistics of imported networks are taken from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from edgepose.datasets.readers.damaged_files import skip
from edgepose.datasets.readers.stills import read_people
from edgepose.training.tasks.networks import network_input
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import COCO17

_PICTURES, _SIZE = 240, 192


def statistics_pictures(root: Path) -> Tensor:
    """Return pictures of people from the data folder as network input, float32 (N, 3, S, S).

    Raises:
        DataError: the folder has no ``people``, or nobody is in it, or a picture is broken.
    """
    people = list(read_people(root / "people", COCO17, skip))
    if not people:
        raise DataError(
            f"There is nobody in '{root / 'people'}', whose pictures set the statistics."
        )
    chosen = people[:: max(len(people) // _PICTURES, 1)][:_PICTURES]
    images = [cv2.resize(each.image(), (_SIZE, _SIZE)) for each in chosen]
    return network_input(torch.from_numpy(np.stack(images)))
