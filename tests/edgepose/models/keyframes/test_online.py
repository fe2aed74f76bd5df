from dataclasses import replace

import pytest
import torch

from edgepose.models.keyframes.online import (
    OnlineConfig,
    OnlineDiscriminator,
    OnlineKeyFrameSelector,
)
from edgepose_runtime.errors import ConfigError

SMALL = OnlineConfig(channels=2, grid=6, edge=True, poles=6, iterations=5)


def online_selector(seed=0):
    torch.manual_seed(seed)
    return OnlineKeyFrameSelector(
        lambda _window, count: list(range(0, count, 5)), OnlineDiscriminator(SMALL)
    )


def chosen(features):
    keys, stream = set(), online_selector()
    for index, frame in enumerate(features):
        keys.update(index - age for age in stream.take(frame))
    return keys


def test_the_published_form_has_the_published_shapes():
    model = OnlineDiscriminator(replace(SMALL, edge=False, channels=512, grid=7)).eval()
    assert model(torch.zeros(2, 512, 7, 7), torch.zeros(2, 512, 7, 7)).shape == (2, 2)
    assert model.layers[-1].in_features == 576


def test_what_follows_never_changes_a_decision():
    torch.manual_seed(1)
    features = torch.rand(90, 2, 6, 6)
    others = torch.cat([features[:57], torch.rand(33, 2, 6, 6) * 5])
    # Frames of a batch are decided on when it is complete: the second one begins at 40.
    assert {k for k in chosen(features) if k < 40} == {k for k in chosen(others) if k < 40}
    full = StreamRecord(features), StreamRecord(others)
    assert full[0].decisions[:57] == full[1].decisions[:57]


class StreamRecord:
    """What a stream's decisions were, frame by frame."""

    def __init__(self, features):
        stream = online_selector()
        self.decisions = [stream.take(frame) for frame in features]


def test_ten_thousand_frames_restart_without_seams():
    stream, frame = online_selector(), torch.zeros(2, 6, 6)
    batches = [index for index in range(10_000) if len(stream.take(frame)) > 1]
    assert batches == list(range(29, 10_000, 40))
    assert len(stream._seen) == 10_000 % 40


def test_the_decision_is_applied():
    stream = online_selector()
    discriminator = stream._discriminator
    with torch.no_grad():
        discriminator.layers[-1].weight.zero_()
        discriminator.layers[-1].bias.copy_(torch.tensor([0.0, 1.0]))
    taken = [stream.take(torch.rand(2, 6, 6)) for _ in range(40)]
    assert taken[30:] == [[0]] * 10


def test_the_expectation_of_all_key_frames_is_what_was_seen():
    torch.manual_seed(0)
    model = OnlineDiscriminator(replace(SMALL, poles=80, sparsity=1e-4, iterations=2000))
    window = torch.rand(40, 2, 6, 6)
    expected = model.expect(window, list(range(40)))
    assert float((expected - model.pool(window)).abs().mean()) < 0.02


def test_the_end_of_a_stream_chooses_from_what_there_is():
    stream = online_selector()
    for _ in range(12):
        stream.take(torch.zeros(2, 6, 6))
    assert stream.flush() == [11, 6, 1]
    assert stream.flush() == []


@pytest.mark.parametrize("options", [{"batch_frames": 0}, {"batch_frames": 40}, {"grid": 4}])
def test_refuses_what_cannot_be(options):
    with pytest.raises(ConfigError):
        replace(SMALL, **{"edge": False, **options})
