import numpy as np
import pytest

from edgepose.evaluation.protocols.candidates import in_boxes
from edgepose.inference.model import load
from edgepose.methods import PropagatingMethod
from edgepose.pool import TrackerPool
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.results import Origin
from edgepose.testing import standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.springs import initial_springs

ROI = Roi(60, 20, 200, 200)
EMPTY = np.full((256, 256, 3), 116, np.uint8)


@pytest.fixture(scope="module")
def model(kernel_bundle):
    with load(kernel_bundle.path, precision="float32", num_threads=1) as loaded:
        yield loaded


@pytest.fixture
def method(model):
    return model.method


@pytest.fixture
def crop(puppet):
    return crop_frame(puppet(), ROI, 256)


def test_the_first_frame_is_the_initialisers_and_close_to_the_truth(method, crop):
    estimate = method.initialise(crop, ROI)
    assert estimate.origin is Origin.INITIALISED
    joints = method.spec.decode(estimate.heatmaps, ROI)
    np.testing.assert_allclose(joints[:, :2], standing_person((160, 120), 160)[:, :2], atol=3.5)


def test_the_state_is_the_kernels_of_the_last_frame(method, crop):
    estimate = method.initialise(crop, ROI)
    kernels = estimate.state.kernels
    assert kernels.shape == (13, 1, 1)
    np.testing.assert_array_equal(kernels[:, 0, 0], estimate.heatmaps.max(axis=(1, 2)))


def test_kernels_are_matched_wherever_the_region_went(method, crop, puppet):
    state = method.initialise(crop, ROI).state
    moved = Roi(40, 10, 240, 240)
    estimate = method.advance(crop_frame(puppet(), moved, 256), moved, state)
    assert estimate.origin is Origin.MATCHED
    joints = method.spec.decode(estimate.heatmaps, moved)
    # The puppet finder's own accuracy in so large a region.
    np.testing.assert_allclose(joints[:, :2], standing_person((160, 120), 160)[:, :2], atol=6)


def test_what_the_kernels_do_not_know_is_not_found(method, crop):
    nothing = method.initialise(EMPTY, ROI).state
    assert method.advance(crop, ROI, nothing).heatmaps.max() == 0
    assert method.advance(crop, ROI, method.initialise(crop, ROI).state).heatmaps.max() > 0.5


def test_advancing_leaves_the_state_it_was_given_alone(method, crop):
    state = method.initialise(crop, ROI).state
    kernels, seen = state.kernels.copy(), crop.copy()
    method.advance(EMPTY, ROI, state)
    crop[:] = 0  # a buffer that is used again
    np.testing.assert_array_equal(state.kernels, kernels)
    np.testing.assert_array_equal(state.crop, seen)


def test_a_cheap_look_does_not_depend_on_earlier_frames(method, crop):
    first = method.locate(crop, ROI)
    method.initialise(crop, ROI)
    np.testing.assert_array_equal(method.locate(crop, ROI), first)


class TestALateAnswerOfAServer:
    """Frames in which kernels of nobody find nobody, though the encoder would."""

    @pytest.fixture
    def lost(self, method, crop):
        first = method.advance(crop, ROI, method.initialise(EMPTY, ROI).state)
        return first, method.advance(crop, ROI, first.state)

    def test_distils_the_kernels_that_the_next_frame_is_matched_with(self, method, crop, lost):
        first, second = lost
        assert second.heatmaps.max() == 0
        answer = method.locate(crop, ROI)
        corrected = method.propagate(answer, ROI, first.state, same_frame=True)
        np.testing.assert_array_equal(corrected.heatmaps, answer)
        found = method.propagate(corrected.heatmaps, ROI, second.state)
        assert found.heatmaps.max() > 0.5
        assert method.advance(crop, ROI, found.state).heatmaps.max() > 0.5

    def test_is_merged_into_a_frame_that_goes_on_from_it(self, method, crop, lost):
        merged = method.replaced(lost[1], method.locate(crop, ROI))
        assert merged.origin is Origin.MATCHED
        assert method.advance(crop, ROI, merged.state).heatmaps.max() > 0.5

    def test_finds_what_the_encoder_alone_saw(self, method, crop, lost):
        np.testing.assert_array_equal(method.preliminary(lost[0].state), method.locate(crop, ROI))

    def test_is_accepted(self, method):
        assert isinstance(method, PropagatingMethod) and method.can_propagate

    def test_keeps_two_frames_in_memory_and_no_more(self, lost):
        assert lost[1].state.previous is not None
        assert lost[1].state.previous.previous is None


def test_it_can_start_with_the_encoder_in_place_of_the_initialiser(method, crop):
    estimate = method.begin(crop, ROI)
    np.testing.assert_array_equal(estimate.heatmaps, method.locate(crop, ROI))
    assert method.advance(crop, ROI, estimate.state).heatmaps.max() > 0.5


def origins(tracker, frames):
    return [tracker.track(frame, timestamp_ms=40 * n).origin for n, frame in enumerate(frames)]


def test_a_tracker_initialises_once_and_then_matches(model, puppet):
    frames = [puppet((120 + 3 * step, 120)) for step in range(6)]
    with PoseTracker(model) as tracker:
        assert origins(tracker, frames) == [Origin.INITIALISED, *[Origin.MATCHED] * 5]


def test_the_initialiser_runs_again_after_so_many_frames(model, puppet):
    with PoseTracker(model, reinitialise_every=3) as tracker:
        found = origins(tracker, [puppet()] * 6)
    assert found == [Origin.INITIALISED, Origin.MATCHED, Origin.MATCHED] * 2


def test_the_initialiser_runs_again_when_matching_finds_nobody(model, puppet):
    """The kernels of the person who left do not stay: who comes back is found anew."""
    empty = np.full((240, 320, 3), 116, np.uint8)
    with PoseTracker(model) as tracker:
        found = origins(tracker, [puppet(), puppet(), empty, empty, puppet(), puppet()])
    assert found[:4] == [Origin.INITIALISED, Origin.MATCHED, None, None]
    assert found[4:] == [Origin.INITIALISED, Origin.MATCHED]


def test_the_state_of_a_stream_never_reaches_another(model, puppet):
    """Streams that take turns on shared networks find what each of them finds alone."""
    streams = [
        [puppet((100 + 2 * step, 110)) for step in range(8)],
        [puppet((220 - 3 * step, 130), height=120) for step in range(8)],
        [np.full((240, 320, 3), 116, np.uint8)] * 8,
    ]
    alone = []
    for frames in streams:
        with PoseTracker(model) as tracker:
            alone.append([tracker.track(f, timestamp_ms=40 * n) for n, f in enumerate(frames)])
    trackers = [PoseTracker(model) for _ in streams]
    for step, frames in enumerate(zip(*streams, strict=True)):
        for tracker, frame, wanted in zip(trackers, frames, alone, strict=True):
            result = tracker.track(frame, timestamp_ms=40 * step)
            assert result.origin is wanted[step].origin
            if wanted[step].keypoints is None:
                assert result.keypoints is None
            else:
                np.testing.assert_array_equal(result.keypoints, wanted[step].keypoints)


def test_streams_of_a_pool_share_batches_but_no_state(kernel_bundle, puppet):
    centers = {"left": (100, 110), "right": (220, 130)}
    found = {name: [] for name in centers}
    with TrackerPool(
        kernel_bundle.path,
        precision="float32",
        batching=True,
        on_result=lambda name, result: found[name].append(result),
    ) as pool:
        for name, center in centers.items():
            pool.add([puppet(center)] * 6, name)
        assert pool.wait(60)
    for name, center in centers.items():
        results, person = found[name], standing_person(center, 160)
        assert [result.origin for result in results] == [Origin.INITIALISED, *[Origin.MATCHED] * 5]
        np.testing.assert_allclose(results[-1].keypoints[:, :2], person[:, :2], atol=6)


def test_neighbouring_frames_refine_what_was_matched(model, puppet):
    springs = initial_springs(body_graph(PENN13), heatmap_size=64)
    with PoseTracker(model, refine=ThinSlicing(lag_frames=1, springs=springs)) as tracker:
        frames = (puppet((120 + 3 * step, 120)) for step in range(5))
        results = list(tracker.stream(frames))
    assert [result.origin for result in results] == [Origin.REFINED] * 5


def test_key_frames_are_matched_and_others_carried(model, puppet):
    with PoseTracker(model, key_frames="auto") as tracker:
        found = origins(tracker, [puppet()] * 6)
    assert found[0] is Origin.INITIALISED
    assert Origin.PREDICTED in found


def test_it_is_evaluated_like_any_method_with_a_head(model):
    names = [candidate.label for candidate in in_boxes(model, ("body", 5, None))]
    assert names == ["kernels body alone", "kernels T=5", "kernels T=never"]
