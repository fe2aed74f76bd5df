import numpy as np
import pytest

pytest.importorskip("trackeval", reason="TrackEval is not installed")

from edgepose.evaluation.metrics.identity import IdentityMetrics, MatchedFrame


def frame(true, predicted, similarity=None):
    overlaps = np.eye(len(true), len(predicted)) if similarity is None else np.array(similarity)
    return MatchedFrame(np.array(true, np.int64), np.array(predicted, np.int64), overlaps)


def scored(*frames):
    return IdentityMetrics().evaluate([frames])[0]


def test_perfect_tracking_scores_everything():
    score = scored(*[frame([4, 9], [1, 2])] * 10)
    assert (score.hota, score.idf1, score.mota, score.switches) == (100, 100, 100, 0)
    assert score.people == 20


def test_two_people_who_swap_identities_cost_a_switch_each():
    score = scored(*[frame([0, 1], [1, 2])] * 5, *[frame([0, 1], [2, 1])] * 5)
    assert score.switches == 2
    assert score.idf1 == pytest.approx(50)
    assert score.mota == pytest.approx(90)


def test_misses_and_inventions_are_counted():
    score = scored(frame([0, 1], [1]), frame([0], [1, 2]))
    assert (score.misses, score.inventions) == (1, 1)


def test_clear_and_identity_count_from_a_similarity_of_three_tenths():
    assert scored(frame([0], [1], [[0.3]])).misses == 0
    assert scored(frame([0], [1], [[0.29]])).misses == 1


def test_sequences_are_pooled_by_their_counts():
    good, bad = [frame([0], [1])] * 9, [frame([0], [])]
    *each, pooled = IdentityMetrics().evaluate([good, bad])
    assert [score.mota for score in each] == [100, 0]
    assert pooled.mota == pytest.approx(90)


def test_a_sequence_without_anybody_scores_zero_misses():
    score = scored(frame([], []), frame([], []))
    assert (score.people, score.misses, score.inventions) == (0, 0, 0)
