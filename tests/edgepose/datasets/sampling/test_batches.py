from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from edgepose.datasets.sampling.augmentation import Augmentation
from edgepose.datasets.sampling.batches import Batches, BatchPlan
from edgepose.datasets.sampling.sampler import Sampler, Source
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13

WILD = Augmentation(
    photometric=0.8,
    shift=0.05,
    half_body_probability=0.2,
    background_probability=0.1,
    occlusion_probability=0.3,
)
PLAN = BatchPlan([(3, 32, 4), (2, 64, 2)])


@pytest.fixture
def batches(person_image, person_clip):
    """A function that makes batches of stills and clips."""
    sources = [
        Source("stills", 1.0, images=[person_image(f"still {i}") for i in range(5)]),
        Source("clips", 2.0, clips=[person_clip(9), person_clip(7, step=2)]),
    ]

    def make(seed=0, length=None):
        return Batches(Sampler(sources, PENN13, WILD), PLAN, seed, length)

    return make


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


@pytest.mark.parametrize(("length", "axes"), [(None, (4,)), (3, (4, 3))])
def test_a_batch_is_three_tensors(batches, length, axes):
    batch = batches(length=length)[0]
    assert {key: (tuple(value.shape), value.dtype) for key, value in batch.items()} == {
        "image": ((*axes, 32, 32, 3), torch.uint8),
        "keypoints": ((*axes, 13, 3), torch.float32),
        "matrix": ((*axes, 2, 3), torch.float32),
    }
    assert all(torch.isfinite(value.float()).all() for value in batch.values())


@pytest.mark.parametrize("length", [None, 3])
def test_a_batch_depends_on_nothing_but_the_seed_and_its_number(batches, length):
    once, again = batches(length=length), batches(length=length)
    expected = [once[step] for step in range(len(once))]
    assert all(same(again[step], expected[step]) for step in (4, 0, 2)), "in any order"
    assert not same(expected[0], expected[1])
    assert not same(expected[0], batches(seed=1, length=length)[0])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_sees_the_same_batches_whatever_the_workers(batches, workers):
    expected = [batches()[step] for step in range(2, 5)]
    loader = DataLoader(
        batches(), batch_size=None, sampler=range(2, 5), num_workers=workers, prefetch_factor=2
    )
    for batch, wanted in zip(loader, expected, strict=True):
        assert same(batch, wanted)


def test_a_broken_picture_does_not_stop_a_worker(person_image, tmp_path):
    stills = [
        person_image(),
        person_image("rotten", b"\xff\xd8 no picture"),
        person_image("gone", tmp_path / "gone.jpg"),
    ]
    sampler = Sampler([Source("stills", 1.0, images=stills)], PENN13, Augmentation.none())
    loader = DataLoader(Batches(sampler, PLAN, 0), batch_size=None, num_workers=1)
    assert [len(batch["image"]) for batch in loader] == [4, 4, 4, 2, 2]


def test_clips_that_are_too_short_are_refused_at_once(batches):
    with pytest.raises(ConfigError, match="source clips"):
        batches(length=10)


phases = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)), min_size=1)


@given(phases=phases)
def test_a_plan_has_its_phases_one_after_the_other(phases):
    plan = BatchPlan(phases)
    expected = [(size, batch) for steps, size, batch in phases for _ in range(steps)]
    assert [plan[step] for step in range(len(plan))] == expected
    for step in (-1, len(plan)):
        with pytest.raises(IndexError):
            plan[step]


@pytest.mark.parametrize("phases", [[], [(0, 64, 4)], [(5, 64, 4), (5, 64, 0)]])
def test_a_plan_without_work_is_refused(phases):
    with pytest.raises(ConfigError, match="positive"):
        BatchPlan(phases)


def test_settings_change_batches(person_image):
    source = Source("stills", 1.0, images=[person_image()])
    one, other = (
        Batches(Sampler([source], PENN13, replace(WILD, convention=convention)), PLAN, 0)[0]
        for convention in ("person", "image")
    )
    assert not same(one, other)


@pytest.mark.parametrize("length", [None, 3])
def test_parts_of_a_batch_are_those_of_the_whole_one(person_clip, length):
    sampler = Sampler([Source("clips", 1.0, clips=[person_clip(9)])], PENN13, WILD)
    plan = BatchPlan([(2, 32, 5)])
    whole = Batches(sampler, plan, 0, length)[1]
    parts = [Batches(sampler, plan, 0, length, (number, 3))[1] for number in range(3)]
    assert [len(part["image"]) for part in parts] == [1, 2, 2]
    joined = {key: torch.cat([part[key] for part in parts]) for key in whole}
    assert same(joined, whole)
