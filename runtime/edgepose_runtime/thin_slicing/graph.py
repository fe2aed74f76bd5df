"""Graphs of joints: who exchanges messages with whom, in a frame and between frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import Skeleton

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PoseGraph:
    """A graph over the joints of consecutive frames; it may have cycles.

    Attributes:
        skeleton: names the joints.
        edges: pairs of joints of one frame that exchange messages.
        reach: each joint exchanges messages with itself in so many frames before and after; 0 for
            a graph within frames.
    """

    skeleton: Skeleton
    edges: tuple[Edge, ...]
    reach: int = 1

    def __post_init__(self) -> None:
        if self.reach < 0:
            raise ConfigError(f"A graph reaches 0 or more frames far, not {self.reach}.")
        count = self.skeleton.num_joints
        for edge in self.edges:
            if len(set(edge)) != 2 or not all(0 <= joint < count for joint in edge):
                raise ConfigError(
                    f"The edge {edge} does not join two of the {count} joints of "
                    f"{self.skeleton.name}."
                )
        if len({frozenset(edge) for edge in self.edges}) != len(self.edges):
            raise ConfigError("Two edges of the graph join the same joints; leave one out.")

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The edges by the names of their joints."""
        joints = self.skeleton.joints
        return tuple((joints[first], joints[second]) for first, second in self.edges)


def named_graph(skeleton: Skeleton, names: Iterable[Iterable[str]], reach: int = 1) -> PoseGraph:
    """Return the graph whose edges join the named joints.

    Raises:
        ConfigError: the skeleton has no such joint, or an edge does not join two of them.
    """
    edges = [tuple(skeleton.index(joint) for joint in pair) for pair in names]
    for edge in edges:
        if len(edge) != 2:
            raise ConfigError(f"An edge joins two joints, not {len(edge)}.")
    return PoseGraph(skeleton, tuple((edge[0], edge[1]) for edge in edges), reach)


def body_graph(skeleton: Skeleton, reach: int = 1) -> PoseGraph:
    """Return the published graph: limbs, then left and right of each pair.

    For penn13 that is 12 limbs and 6 pairs, for jhmdb15 14 limbs and 6 pairs.
    """
    pairs = {frozenset(pair) for pair in skeleton.flip_pairs}
    limbs = tuple(limb for limb in skeleton.limbs if frozenset(limb) not in pairs)
    return PoseGraph(skeleton, (*limbs, *skeleton.flip_pairs), reach)
