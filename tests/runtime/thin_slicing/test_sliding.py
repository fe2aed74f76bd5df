"""Messages in a sliding slice: exact on trees, the same whether computed anew or kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13
from edgepose_runtime.thin_slicing.distance import distance_transform_numpy
from edgepose_runtime.thin_slicing.graph import PoseGraph, body_graph, named_graph
from edgepose_runtime.thin_slicing.sliding import SlidingSlice
from edgepose_runtime.thin_slicing.springs import Springs, initial_springs, resized
from edgepose_runtime.thin_slicing.warping import warp_heatmaps_numpy

SIDE = 7
HERE = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).astype(np.float32)
FLIP = np.array([1, -1, 1, -1])


def random_springs(graph: PoseGraph, **changes: object) -> Springs:
    rng = np.random.default_rng(0)
    springs = initial_springs(graph, heatmap_size=SIDE, rounds=2)

    def shaken(values, low=-0.1):
        return (values + rng.uniform(low, 0.3, values.shape)).astype(np.float32)

    return replace(
        springs,
        spatial=np.abs(shaken(springs.spatial, 0.0)),
        temporal=np.abs(shaken(springs.temporal, 0.0)),
        spatial_weight=shaken(springs.spatial_weight),
        temporal_weight=shaken(springs.temporal_weight),
        gain=shaken(springs.gain),
        bias=shaken(springs.bias),
        **changes,
    )


def random_clip(frames, joints=13):
    rng = np.random.default_rng(1)
    maps = rng.random((frames, joints, SIDE, SIDE), np.float32)
    moved = rng.normal(0, 0.5, (frames, frames, SIDE, SIDE, 2)).astype(np.float32)
    return maps, HERE + moved


def flooded(maps, grids, springs):  # noqa: C901 - as plain as it gets
    """All rounds of all frames in plain NumPy; messages come from the last round's scores."""
    own = maps * springs.gain[:, None, None] + springs.bias[:, None, None]
    scores, frames, reach = own, range(len(maps)), springs.graph.reach
    for _ in range(springs.rounds):
        total, counts = own.copy(), np.ones(maps.shape[:2])

        def hear(frame, joint, message, weight, total=total, counts=counts):
            total[frame, joint] += weight * message
            counts[frame, joint] += weight

        for t in frames:
            for edge, spring, weight in zip(
                springs.graph.edges, springs.spatial, springs.spatial_weight, strict=True
            ):
                for (to, sender), signs in ((edge, 1), (edge[::-1], FLIP)):
                    sent = scores[t, sender][None]
                    hear(t, to, distance_transform_numpy(sent, spring * signs).values[0], weight)
            for other in frames:
                apart = abs(other - t)
                if not 1 <= apart <= reach:
                    continue
                for joint in range(maps.shape[1]):
                    sent = scores[other, joint][None]
                    sent = warp_heatmaps_numpy(sent, grids[t, other], float(sent.min()))
                    spring = springs.temporal[apart - 1, joint] * (1 if other < t else FLIP)
                    message = distance_transform_numpy(sent, spring).values[0]
                    hear(t, joint, message, springs.temporal_weight[apart - 1, joint])
        scores = {
            "mean": lambda x=total, n=counts: x / n[..., None, None],
            "sum": lambda x=total: x,
        }[springs.normalise]()
    return (scores - springs.bias[:, None, None]) / springs.gain[:, None, None]


def slid(maps, grids, springs, lag):
    sliding, out = SlidingSlice(springs, lag), []
    for frame, each in enumerate(maps):
        sliding.push(each, lambda a, b: grids[a, b])
        if frame >= lag:
            out.append(sliding.refined(frame - lag))
    return out + [sliding.refined(t) for t in range(max(0, len(maps) - lag), len(maps))]


@pytest.mark.parametrize("normalise", ["mean", "sum"])
@pytest.mark.parametrize("reach", [1, 2])
def test_a_slice_equals_flooding_in_plain_numpy(normalise, reach):
    maps, grids = random_clip(4)
    springs = random_springs(body_graph(PENN13, reach), normalise=normalise)
    found = slid(maps, grids, springs, lag=3)
    np.testing.assert_allclose(found, flooded(maps, grids, springs), atol=1e-4)


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_what_is_kept_from_the_last_slice_is_what_would_be_computed(lag):
    maps, grids = random_clip(6)
    springs = random_springs(PoseGraph(PENN13, ((0, 1), (1, 3))))
    found = slid(maps, grids, springs, lag)
    for frame in range(6):
        known = min(frame + lag + 1, 6)
        wanted = flooded(maps[:known], grids, springs)[frame]
        np.testing.assert_allclose(found[frame], wanted, atol=1e-4)


def test_on_a_tree_without_answers_messages_are_exact():
    """Max-marginals of a chain of three joints by trying all of their places."""
    names = [("head", "right_shoulder"), ("right_shoulder", "right_elbow")]
    springs = random_springs(named_graph(PENN13, names, reach=0))
    ones = np.ones_like(springs.spatial_weight)
    springs = replace(springs, exclude_reverse=True, normalise="sum", rounds=3, spatial_weight=ones)
    maps, grids = random_clip(1)
    own = maps[0] * springs.gain[:, None, None] + springs.bias[:, None, None]
    scores = own[[0, 1, 3]].reshape(3, -1)
    y, x = np.divmod(np.arange(SIDE**2), SIDE)

    def cost(spring):
        dx, dy = x[:, None] - x, y[:, None] - y  # first joint of the edge minus the second
        ax, bx, ay, by = spring
        return ax * dx**2 + bx * dx + ay * dy**2 + by * dy

    joint = scores[0][:, None, None] + scores[1][:, None] + scores[2]
    joint = joint - cost(springs.spatial[0])[:, :, None] - cost(springs.spatial[1])
    exact = [joint.max((1, 2)), joint.max((0, 2)), joint.max((0, 1))]
    (found,) = slid(maps, grids, springs, lag=0)
    found = found * springs.gain[:, None, None] + springs.bias[:, None, None]
    np.testing.assert_allclose(found[[0, 1, 3]].reshape(3, -1), exact, atol=1e-4)


def test_a_clip_of_one_frame_hears_only_itself():
    maps, grids = random_clip(1)
    springs = random_springs(PoseGraph(PENN13, ()))
    np.testing.assert_allclose(slid(maps, grids, springs, lag=2), maps, atol=1e-5)


def test_missing_and_flat_maps_do_no_harm():
    maps, grids = random_clip(3)
    maps[1, 2], maps[1, 3, 0, 0], maps[1, 4] = np.nan, np.inf, 0.5
    found = np.stack(slid(maps, grids, random_springs(body_graph(PENN13)), lag=1))
    assert np.isfinite(found).all()


def test_a_neighbour_without_flow_counts_as_saying_nowhere():
    maps, _ = random_clip(2)
    springs = initial_springs(PoseGraph(PENN13, ()), heatmap_size=SIDE)
    sliding = SlidingSlice(springs, lag=0)
    for each in maps:
        sliding.push(each, lambda *_: None)
    found = sliding.refined(1)
    assert (found.argmax(-1) == maps[1].argmax(-1)).all()


def test_a_new_slice_knows_nothing_of_the_last():
    maps, grids = random_clip(3)
    springs = random_springs(body_graph(PENN13))
    sliding = SlidingSlice(springs, lag=0)
    for each in maps:
        sliding.push(each, lambda a, b: grids[a, b])
    sliding.reset()
    sliding.push(maps[0], lambda a, b: grids[a, b])
    np.testing.assert_allclose(sliding.refined(0), slid(maps[:1], grids, springs, 0)[0])


def test_only_frames_of_the_slice_are_given_out():
    maps, grids = random_clip(5)
    sliding = SlidingSlice(random_springs(body_graph(PENN13)), lag=1)
    for each in maps:
        sliding.push(each, lambda a, b: grids[a, b])
    for frame in (2, 5, -1):
        with pytest.raises(ConfigError, match="holds frames 3 to 4"):
            sliding.refined(frame)
    with pytest.raises(ConfigError, match="shape"):
        sliding.push(maps[0, :5], lambda a, b: grids[a, b])


def test_resized_springs_find_the_same_place():
    springs = random_springs(body_graph(PENN13))
    twice = resized(springs, 2 * SIDE)
    rest = -springs.spatial[:, 1] / (2 * springs.spatial[:, 0])
    moved = -twice.spatial[:, 1] / (2 * twice.spatial[:, 0])
    np.testing.assert_allclose(moved, 2 * rest, rtol=1e-4)


class TestGraph:
    @pytest.mark.parametrize(("skeleton", "limbs"), [(PENN13, 12), (JHMDB15, 14)])
    def test_the_published_graph_has_limbs_and_pairs(self, skeleton, limbs):
        graph = body_graph(skeleton)
        assert len(graph.edges) == limbs + 6
        assert graph.edges[limbs:] == skeleton.flip_pairs

    def test_a_joint_that_is_missing_is_refused_by_name(self):
        with pytest.raises(ConfigError, match="no joint 'tail'"):
            named_graph(PENN13, [("head", "tail")])

    @pytest.mark.parametrize("edges", [((0, 0),), ((0, 13),), ((0, 1), (1, 0))])
    def test_edges_that_join_no_two_joints_are_refused(self, edges):
        with pytest.raises(ConfigError):
            PoseGraph(PENN13, edges)
