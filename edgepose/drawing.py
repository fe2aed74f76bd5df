"""Poses drawn over frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.results import TRUSTED_SCORE, Person, PersonState, PoseResult
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.crop import as_bgr
from edgepose_runtime.poses.skeletons import Skeleton

Image = NDArray[np.uint8]
FloatArray = NDArray[np.floating[Any]]
Color = tuple[int, int, int]

# OpenCV takes coordinates as integers with this many fractional bits: limbs move smoothly
# instead of jumping from pixel to pixel.
_FRACTION_BITS = 4
_UNIT = 1 << _FRACTION_BITS
# Keeps points that are absurdly far outside within what OpenCV can compute with.
_FAR = 1 << 24
_OUTLINE: Color = (24, 24, 24)
_OUTLINE_FACTOR = 1.6
# In OpenCV's hues, of which there are 180: multiples of it come as far apart as can be.
_GOLDEN_ANGLE = 180 * 0.381966
# What the scores of a predicted pose are multiplied by to be drawn.
_PALE = 0.5


@dataclass(frozen=True, slots=True)
class DrawingStyle:
    """How poses look.

    Attributes:
        right: BGR colour of the person's own right side.
        left: BGR colour of the person's own left side.
        middle: BGR colour of the rest.
        score_threshold: joints below it, and limbs that end in them, are not drawn.
        full_score: joints fade from here down to the threshold.
        show_roi: whether the region that the network saw is outlined, to find mistakes.
        show_label: whether frame number and origin are written in the corner, likewise.
    """

    right: Color = (60, 130, 255)
    left: Color = (255, 190, 40)
    middle: Color = (235, 235, 235)
    score_threshold: float = TRUSTED_SCORE
    full_score: float = 0.6
    show_roi: bool = False
    show_label: bool = False

    def opacity(self, score: float) -> float:
        """Return how solid a part with this score is drawn, from 0 (not at all) to 1."""
        if not score >= self.score_threshold:
            return 0.0
        fade = (score - self.score_threshold) / max(self.full_score - self.score_threshold, 1e-6)
        return 0.35 + 0.65 * min(fade, 1.0)


DEFAULT_STYLE = DrawingStyle()
#: Shows what a tracker did, too.
DEBUG_STYLE = DrawingStyle(show_roi=True, show_label=True)


def draw_result(frame: Image, result: PoseResult, style: DrawingStyle = DEFAULT_STYLE) -> Image:
    """Return a BGR copy of the frame with the pose drawn on it.

    The style may also ask for the roi and a label with number and origin.

    Example:
        >>> with edgepose.PoseTracker() as tracker:
        ...     frames = tracker.stream("samples/clips/balance.mp4", with_frames=True)
        ...     frame, result = next(iter(frames))
        >>> draw_result(frame, result).shape
        (960, 540, 3)

    Of several people each has a colour and the number of their identity, which stay the same as
    long as the identity; a pose that is predicted, as the person is hidden, is pale.

    Args:
        frame: the frame that the result is about, as :meth:`PoseTracker.track` takes it.
        result: what the tracker returned for it.
        style: colours and thresholds.
    """
    image = as_bgr(frame).copy()
    if result.several is not None:
        for person in result.several:
            _draw_person(image, person, result.skeleton, style)
        if style.show_label:
            _draw_label(image, f"frame {result.frame_id}  {len(result.several)} people")
        return image
    if style.show_roi and result.roi is not None:
        _draw_roi(image, result.roi)
    if result.keypoints is not None:
        draw_pose(image, result.keypoints, result.skeleton, style)
    if style.show_label:
        state = str(result.origin or result.reason)
        _draw_label(image, f"frame {result.frame_id}  {state}")
    return image


def draw_pose(
    image: Image,
    keypoints: FloatArray,
    skeleton: Skeleton,
    style: DrawingStyle = DEFAULT_STYLE,
) -> None:
    """Draw a pose onto an image, in place.

    Lines are anti-aliased, as thick as suits the person's size, and fade with the lower score of
    the two joints they join.

    Args:
        image: uint8 BGR (H, W, 3), contiguous; changed.
        keypoints: (K, 3) x, y in pixels of the image and score. NaN joints are left out.
        skeleton: names the K joints.
        style: colours and thresholds.

    Raises:
        ConfigError: the keypoints are not those of the skeleton.
    """
    if keypoints.shape != (skeleton.num_joints, 3):
        raise ConfigError(
            f"Keypoints of {skeleton.name} must have shape ({skeleton.num_joints}, 3); got "
            f"{keypoints.shape}."
        )
    opacities = [_joint_opacity(joint, style) for joint in keypoints]
    shown = keypoints[np.asarray(opacities) > 0, :2]
    if not len(shown):
        return
    thickness = _thickness(shown, image.shape)
    canvas = _Canvas(image, shown, margin=3 * thickness + 2)
    if canvas.is_empty:
        return
    for first, second in skeleton.limbs:
        opacity = min(opacities[first], opacities[second])
        if opacity > 0:
            color = _limb_color(skeleton, first, second, style)
            canvas.line(keypoints[first], keypoints[second], color, thickness, opacity)
    for index in np.flatnonzero(opacities).tolist():
        color = _joint_color(skeleton, index, style)
        canvas.dot(keypoints[index], color, thickness, opacities[index])
    canvas.blend()


def person_color(person_id: int) -> Color:
    """Return the BGR colour of an identity: neighbours differ much, and it never changes."""
    hue = (person_id - 1) * _GOLDEN_ANGLE % 180
    pixel = np.array([[[round(hue), 190, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _draw_person(image: Image, person: Person, skeleton: Skeleton, style: DrawingStyle) -> None:
    color = person_color(person.person_id)
    own = replace(style, right=color, left=color, middle=color)
    keypoints = person.keypoints
    if person.state is PersonState.HIDDEN:
        keypoints = keypoints * np.array([1, 1, _PALE], np.float32)
    draw_pose(image, keypoints, skeleton, own)
    shown = keypoints[np.isfinite(keypoints).all(axis=1), :2]
    if len(shown):
        left, top = shown.min(axis=0).tolist()
        _draw_number(image, str(person.person_id), (left, top), color)


def _draw_number(image: Image, text: str, at: tuple[float, float], color: Color) -> None:
    """Write a number above a point, dark outlined so that it shows on any ground."""
    scale = max(image.shape[:2]) / 1600 + 0.15
    weight = max(1, round(1.8 * scale))
    place = round(at[0]), max(round(at[1] - 12 * scale), round(24 * scale))
    for ink, width in ((_OUTLINE, 3 * weight), (color, weight)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, width, cv2.LINE_AA)


class _Canvas:
    """A layer of colour and one of coverage over the person's part of an image.

    OpenCV's shapes know no opacity. Drawing the outline of every part into the coverage as a grey
    level, and blending once at the end, gives fading and smooth edges for the cost of one pass
    over the person.
    """

    def __init__(self, image: Image, points: FloatArray, margin: float) -> None:
        height, width = image.shape[:2]
        low = np.clip(np.floor(points.min(axis=0) - margin), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(points.max(axis=0) + margin), 0, (width, height)).astype(int)
        self._patch = image[low[1] : high[1], low[0] : high[0]]
        self._origin = low
        self._color = self._patch.copy()
        self._cover: Image = np.zeros(self._patch.shape[:2], np.uint8)

    @property
    def is_empty(self) -> bool:
        """Whether the whole person is outside the image."""
        return not self._patch.size

    def line(
        self, start: FloatArray, end: FloatArray, color: Color, thickness: float, opacity: float
    ) -> None:
        """Draw an outlined line between two (x, y, ...) points."""
        outline = self._quad(start, end, thickness * _OUTLINE_FACTOR)
        cv2.fillConvexPoly(self._color, outline, _OUTLINE, cv2.LINE_8, _FRACTION_BITS)
        cv2.fillConvexPoly(self._cover, outline, _grey(opacity), cv2.LINE_AA, _FRACTION_BITS)
        inner = self._quad(start, end, thickness)
        cv2.fillConvexPoly(self._color, inner, color, cv2.LINE_AA, _FRACTION_BITS)

    def dot(self, center: FloatArray, color: Color, radius: float, opacity: float) -> None:
        """Draw an outlined disc around a point (x, y, ...)."""
        x, y = self._fixed(np.asarray(center[:2], float)).tolist()
        outer, inner = (round(r * _UNIT) for r in (radius * _OUTLINE_FACTOR, radius))
        cv2.circle(self._color, (x, y), outer, _OUTLINE, -1, cv2.LINE_8, _FRACTION_BITS)
        cv2.circle(self._cover, (x, y), outer, _grey(opacity), -1, cv2.LINE_AA, _FRACTION_BITS)
        cv2.circle(self._color, (x, y), inner, color, -1, cv2.LINE_AA, _FRACTION_BITS)

    def blend(self) -> None:
        """Put the drawing onto the image."""
        cover = self._cover[..., None].astype(np.uint16)
        mixed = self._patch * (255 - cover) + self._color * cover
        self._patch[:] = ((mixed + 127) // 255).astype(np.uint8)

    def _quad(self, start: FloatArray, end: FloatArray, width: float) -> NDArray[np.int32]:
        a, b = np.asarray(start[:2], float), np.asarray(end[:2], float)
        along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
        side = np.array([-along[1], along[0]]) * width / 2
        return self._fixed(np.stack([a + side, b + side, b - side, a - side]))

    def _fixed(self, points: FloatArray) -> NDArray[np.int32]:
        fixed = np.rint((points - self._origin) * _UNIT)
        clipped: NDArray[np.int32] = np.clip(fixed, -_FAR, _FAR).astype(np.int32)
        return clipped


def _grey(opacity: float) -> Color:
    level = round(255 * opacity)
    return level, level, level


def _joint_opacity(joint: FloatArray, style: DrawingStyle) -> float:
    return style.opacity(float(joint[2])) if np.isfinite(joint).all() else 0.0


def _thickness(points: FloatArray, image_shape: tuple[int, ...]) -> float:
    """Width of a limb in pixels: that of a slim person's arm, but visible and within reason."""
    person = float(np.ptp(points, axis=0).max())
    largest = max(image_shape[:2]) / 120
    return float(np.clip(person / 55, 1.5, max(largest, 1.5)))


def _joint_color(skeleton: Skeleton, index: int, style: DrawingStyle) -> Color:
    name = skeleton.joints[index]
    if name.startswith("right_"):
        return style.right
    return style.left if name.startswith("left_") else style.middle


def _limb_color(skeleton: Skeleton, first: int, second: int, style: DrawingStyle) -> Color:
    colors = {_joint_color(skeleton, index, style) for index in (first, second)}
    return colors.pop() if len(colors) == 1 else style.middle


def _draw_roi(image: Image, roi: tuple[float, float, float, float]) -> None:
    x, y, width, height = roi
    corners = [(x - 0.5, y - 0.5), (x + width - 0.5, y + height - 0.5)]
    first, last = np.clip(np.rint(np.multiply(corners, _UNIT)), -_FAR, _FAR).astype(int).tolist()
    width = max(1, round(max(image.shape[:2]) / 900))
    cv2.rectangle(image, first, last, (180, 180, 180), width, cv2.LINE_AA, _FRACTION_BITS)


def _draw_label(image: Image, text: str) -> None:
    """Write a line in the top left corner, on a darkened strip."""
    scale = max(image.shape[:2]) / 1600 + 0.15
    weight = max(1, round(1.6 * scale))
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    pad = max(2, height // 2)
    strip = image[: height + base + 2 * pad, : width + 2 * pad]
    strip[:] = strip // 3
    at = (pad, pad + height)
    cv2.putText(
        image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (245, 245, 245), weight, cv2.LINE_AA
    )
