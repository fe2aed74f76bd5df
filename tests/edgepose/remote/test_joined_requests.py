"""The requests for several people in a frame are one; the test says what comes of it."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from edgepose.inference.estimator import PoseEstimator, StageClock
from edgepose.remote import HeadConnection, JoinedRequests, RemoteHead
from edgepose.remote.answer_pacing import ANSWERS_PER_FRAME, AnswerPacing
from edgepose.remote.joined_requests import MOST_CROPS
from edgepose.testing import PropagatingFakeMethod, fake_model, standing_person
from edgepose.tracking.frame import Frame
from edgepose_runtime.backends.triton import BreakerState
from edgepose_runtime.errors import InferenceError, ServerError, ServerFault
from edgepose_runtime.geometry.roi import Roi


class Server:
    """Stands in for the connection to a server."""

    state = BreakerState.CLOSED
    wants_probe = False

    def __init__(self):
        self.sizes = []
        self.futures = []
        self.has_room = True

    def start(self, feeds):
        if not self.has_room:
            raise ServerError("Too many are under way.", ServerFault.OVERLOADED)
        self.sizes.append(len(feeds["image"]))
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def model():
    return fake_model(PropagatingFakeMethod())


@pytest.fixture
def head(server, model):
    return HeadConnection(model, RemoteHead("grpc://test"), network=server)


@pytest.fixture
def requests(head):
    return JoinedRequests(head)


def ask(requests, count):
    """Send so many requests together; return their answers, which are open."""
    answers = [requests.start({"image": np.full((1, 2), i, np.uint8)}) for i in range(count)]
    requests.send()
    return answers


def test_each_gets_its_own_part_of_one_answer(requests, server):
    answers = ask(requests, 3)
    assert server.sizes == [3] and not any(answer.done() for answer in answers)
    server.futures[0].set_result({"heatmaps": np.arange(3)[:, None]})
    assert [answer.result()["heatmaps"].tolist() for answer in answers] == [[[0]], [[1]], [[2]]]


def test_nothing_is_sent_when_nobody_asks_and_not_more_than_a_server_takes(requests, server):
    requests.send()
    ask(requests, MOST_CROPS + 2)
    assert server.sizes == [MOST_CROPS, 2]


def test_nobody_waits_in_vain_when_a_batch_is_refused_while_others_are_sent(
    requests, server, monkeypatch
):
    def refuse(feeds):
        server.sizes.append(len(feeds["image"]))
        answer = Future()
        answer.set_exception(InferenceError("One image, please."))
        return answer

    monkeypatch.setattr(server, "start", refuse)
    answers = ask(requests, MOST_CROPS + 2)
    assert all(answer.done() for answer in answers)
    assert server.sizes == [MOST_CROPS, 2]


def test_a_request_that_fails_fails_for_all(requests, server):
    answers = ask(requests, 2)
    server.futures[0].set_exception(ServerError("Gone.", ServerFault.TIMEOUT))
    assert all(isinstance(answer.exception(), ServerError) for answer in answers)
    server.has_room = False
    not_sent = [answer.exception().__cause__ for answer in ask(requests, 2)]
    assert [error.fault for error in not_sent] == ["overloaded"] * 2
    server.has_room = True
    ask(requests, 2)
    assert server.sizes == [2, 2], "one crop at a time would not help"


@pytest.mark.parametrize(
    "error", [ServerError("Wrong.", ServerFault.BAD_ANSWER), InferenceError("One image, please.")]
)
def test_a_server_that_takes_no_batches_gets_one_crop_at_a_time(requests, server, error):
    ask(requests, 3)
    server.futures[0].set_exception(error)
    ask(requests, 3)
    assert server.sizes == [3, 1, 1, 1]


@pytest.mark.parametrize("is_sent", [False, True])
def test_the_local_head_steps_in_when_a_request_fails_but_not_when_there_is_no_room(
    requests, server, head, is_sent
):
    model = fake_model(PropagatingFakeMethod(standing_person((160, 120), 120)))
    tracker = requests.new_tracker(None)
    frame = Frame(0, np.zeros((240, 320, 3), np.uint8), 0.0)
    estimator = PoseEstimator(model, tracker.use_light_network)
    observation = estimator.initialise(frame.image, Roi(90, 50, 140, 140), StageClock())
    server.has_room = is_sent
    tracker.observed(frame, observation, continues=False)
    requests.send()
    for answer in server.futures:
        answer.set_exception(ServerError("Busy.", ServerFault.OVERLOADED))
    assert tracker.use_light_network() is not is_sent
    assert head.stats.failed == {"overloaded": 1}


def test_only_so_many_answers_are_propagated_in_one_frame(requests, server):
    requests._pacing = AnswerPacing(longest_wait_s=10.0)
    answers = ask(requests, ANSWERS_PER_FRAME + 2)
    maps = {"heatmaps": np.zeros((len(answers), 1))}
    network = threading.Thread(target=server.futures[0].set_result, args=(maps,), daemon=True)
    network.start()
    answers[ANSWERS_PER_FRAME - 1].result(10)
    network.join(0.05)
    assert not answers[ANSWERS_PER_FRAME].done()
    requests.send()
    answers[-1].result(10)


def test_answers_do_not_wait_for_frames_that_do_not_come(requests, server):
    requests._pacing = AnswerPacing(per_frame=1, longest_wait_s=0.001)
    answers = ask(requests, 3)
    maps = {"heatmaps": np.zeros((3, 1))}
    network = threading.Thread(target=server.futures[0].set_result, args=(maps,), daemon=True)
    network.start()
    network.join(10)
    assert all(answer.done() for answer in answers)
