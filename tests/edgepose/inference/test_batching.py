import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.inference.batching import BatchSizes, even_parts
from edgepose_runtime.backends import BackendSettings
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.errors import ClosedError
from edgepose_runtime.tensors import TensorSpec


@given(st.integers(1, 100), st.integers(1, 8))
def test_a_batch_is_cut_into_as_few_and_as_even_parts_as_possible(count, largest):
    parts = even_parts(count, largest)
    assert sum(parts) == count
    assert len(parts) == -(-count // largest)
    assert max(parts) - min(parts) <= 1 and max(parts) <= largest


@pytest.fixture
def networks():
    """Networks for one, two and three samples that say how many they are."""

    def network(size):
        spec = TensorSpec("x", "float32", (size, 2))
        out = TensorSpec("y", "float32", (size, 3))

        def run(feeds):
            sums = feeds["x"].sum(axis=1)
            return {"y": np.stack([sums, 2 * sums, np.full(size, size, np.float32)], axis=1)}

        return FakeBackend(run, [spec], [out]).load(b"", settings=BackendSettings())

    return {size: network(size) for size in (1, 2, 3)}


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (3, [3] * 3), (5, [3, 3, 3, 2, 2])])
def test_samples_of_any_number_are_processed_in_order_by_networks_that_fit(networks, count, sizes):
    batches = BatchSizes(networks)
    x = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    y = batches.infer({"x": x})["y"]
    np.testing.assert_array_equal(y[:, :2], x.sum(axis=1)[:, None] * [1, 2])
    assert y[:, 2].tolist() == sizes
    assert batches.inputs["x"].shape == ("N", 2) and batches.outputs["y"].shape == ("N", 3)


def test_closing_closes_the_networks_of_all_sizes(networks):
    BatchSizes(networks).close()
    for size, network in networks.items():
        with pytest.raises(ClosedError):
            network.infer({"x": np.zeros((size, 2), np.float32)})
