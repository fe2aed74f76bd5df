"""A heavier, steadier head made of a pose network: its average over views of one image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView


class TestTimeAveragedHead(nn.Module):
    """Averages a network's heat-maps over the image, its mirror, and both at other scales.

    ``(B, 3, S, S)`` normalised RGB to ``(B, K, h, h)``, as the network itself. All views go through
    the network as one batch.

    Heat-map cells must be symmetric under mirroring (offset = (stride - 1) / 2, as trained here);
    HRNet's cells (offset 0) would need a shift as well.

    Args:
        network: the pose network.
        flip_order: the skeleton's ``flip_order``.
        input_size: S, side of the image in pixels.
        heatmap_size: h, side of its heat-maps in cells.
        mirror: average over the mirror image, too.
        scales: how much of the image's side each view covers. Above 1 the rim is filled with the
            mean colour; below 1 the view shows the middle only, and only there it counts.
        view: what images show of a region, None for all of it in a square.

    Raises:
        ConfigError: no scale reaches 1, so that nothing would be known about the rim.
    """

    __test__ = False  # the name does not mean a test of pytest
    weight: Tensor

    def __init__(
        self,
        network: nn.Module,
        flip_order: Sequence[int],
        input_size: int,
        heatmap_size: int,
        *,
        mirror: bool = True,
        scales: Sequence[float] = (1.0,),
        view: InputView | None = None,
    ) -> None:
        super().__init__()
        if not scales or max(scales) < 1 or min(scales) <= 0:
            raise ConfigError(
                f"The scales {tuple(scales)} must be above 0, and one of them at least 1."
            )
        self.network = network
        self.flip_order = list(flip_order)
        self.mirror = mirror
        self.scales = tuple(scales)
        height, width = (input_size, input_size) if view is None else view.shape[:2]
        self._register_geometry(height, width, heatmap_size)

    def forward(self, image: Tensor) -> Tensor:
        """Return the averaged heat-maps."""
        if self.scales == (1.0,):
            return self._run(image)
        views = torch.stack([self._zoom_image(image, index) for index in range(len(self.scales))])
        maps = self._run(views.flatten(0, 1)).unflatten(0, (len(self.scales), -1))
        total = sum(self._zoom_maps(maps[index], index) for index in range(len(self.scales)))
        averaged: Tensor = total * self.weight
        return averaged

    def _run(self, views: Tensor) -> Tensor:
        """Return the network's heat-maps, averaged with those of the mirror images."""
        if not self.mirror:
            return self.network(views)  # type: ignore[no-any-return]
        straight, mirrored = self.network(torch.cat((views, views.flip(-1)))).unflatten(0, (2, -1))
        return (straight + mirrored.flip(-1)[:, self.flip_order]) / 2  # type: ignore[no-any-return]

    def _zoom_image(self, image: Tensor, index: int) -> Tensor:
        if self.scales[index] == 1:
            return image
        rows, columns = getattr(self, f"zoom_rows_{index}"), getattr(self, f"zoom_columns_{index}")
        return rows @ image @ columns.T  # type: ignore[no-any-return]

    def _zoom_maps(self, maps: Tensor, index: int) -> Tensor:
        if self.scales[index] == 1:
            return maps
        matrix = getattr(self, f"zoom_maps_{index}")
        return matrix @ maps @ matrix.T  # type: ignore[no-any-return]

    def _register_geometry(self, height: int, width: int, heatmap_size: int) -> None:
        """Keep the resampling as matrices along one axis: products are quick in every runtime."""
        covered = torch.zeros(heatmap_size, heatmap_size)
        for index, scale in enumerate(self.scales):
            zoom_maps = _zoom(heatmap_size, 1 / scale, smooth=False)
            constants = {
                f"zoom_rows_{index}": _zoom(height, scale, smooth=True),
                f"zoom_columns_{index}": _zoom(width, scale, smooth=True),
                f"zoom_maps_{index}": zoom_maps,
            }
            for name, constant in constants.items():
                self.register_buffer(name, constant, persistent=False)
            rows = zoom_maps.sum(1)
            covered += rows[:, None] * rows[None]
        self.register_buffer("weight", 1 / covered, persistent=False)


def _zoom(size: int, scale: float, *, smooth: bool) -> Tensor:
    """Return the ``(size, size)`` matrix that resamples an axis ``scale`` times as coarsely.

    Its middle stays in place and what lies outside is zero. ``smooth`` widens the linear
    interpolation where samples lie more than a pixel apart, against aliasing.
    """
    middle = (size - 1) / 2
    positions = torch.arange(size, dtype=torch.float64)
    samples = middle + (positions - middle) * scale
    width = max(1.0, scale) if smooth else 1.0
    distance = (samples[:, None] - positions[None]).abs() / width
    return ((1 - distance).clamp(min=0) / width).float()
