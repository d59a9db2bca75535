from dataclasses import replace

import numpy as np
import pytest

from clipsweep.trials.prompts.judge import judge
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.scores.scoring import Scoring


def prompts_of(scoring: Scoring, *labels: tuple[int, ...]) -> Prompts:
    queries = tuple(Query(tokens=(1,), labels=(each,), gold=0) for each in labels)
    return Prompts(prefix=(), queries=queries, scoring=scoring)


def test_text_is_told_by_its_likelihoods_and_by_no_outcomes() -> None:
    prompts = prompts_of(Scoring.TEXT, (1, 2), (1, 2, 3, 4))
    judged = judge(prompts, np.array([[-3.0], [-9.0]], dtype=np.float32))
    assert (judged.loglikelihoods, judged.tokens, judged.outcomes, judged.margins) == ((-3.0, -9.0), (2, 4), (), ())
    scores = judged.tally.scores
    assert (scores.nll, scores.accuracy, scores.macro_f1) == (2.0, None, None)  # 12 nats of 6 tokens
    assert scores.perplexity == pytest.approx(np.exp(2))


def test_a_greedy_answer_is_right_where_all_its_tokens_are_ahead() -> None:
    prompts = prompts_of(Scoring.GREEDY, (1,), (2, 3), (4,))
    scores, leads = (
        np.array([[-1.0], [-2.0], [-3.0]], dtype=np.float32),
        np.array([[0.5], [-0.5], [0.0]], dtype=np.float32),
    )
    judged = judge(prompts, scores, leads)
    assert (judged.outcomes, judged.margins, judged.predicted) == ((True, False, False), (0.5, -0.5, 0.0), (0, -1, -1))
    assert judged.tally.scores.accuracy == pytest.approx(1 / 3)
    assert (judged.tally.scores.gold_logprob, judged.tally.scores.calibration_error) == (-2.0, None)


def test_parts_are_judged_alone_and_add_up() -> None:
    prompts = prompts_of(Scoring.TEXT, (1, 2), (1, 2, 3), (1,))
    scores = np.array([[-3.0], [-9.0], [-1.5]], dtype=np.float32)
    first, rest = judge(prompts.part(0, 1), scores), judge(prompts.part(1, 3), scores)
    assert first.tally + rest.tally == judge(prompts, scores).tally


def test_labels_that_a_query_does_not_have_are_never_given() -> None:
    queries = (Query(tokens=(1,), labels=((2,), (3,)), gold=1), Query(tokens=(1,), labels=((2,), (3,), (4,)), gold=2))
    scores = np.array([[-2.0, -1.0, -np.inf], [-3.0, -2.0, -1.0]], dtype=np.float32)
    judged = judge(Prompts(prefix=(), queries=queries), scores)
    assert (judged.outcomes, judged.margins, judged.predicted) == ((True, True), (1.0, 1.0), (1, 2))
    assert judged.tally.scores.gold_logprob is not None
    assert np.isfinite(judged.tally.scores.gold_logprob)


CHOSEN = tuple(Query(tokens=(1,), labels=((2,), (3,)), gold=gold, lengths=(1.0, 2.0)) for gold in (0, 1))
TWO_EACH = np.array([[-2.0, -1.0], [-3.0, -2.0]], dtype=np.float32)


def test_answers_that_differ_by_row_have_no_f1() -> None:
    prompts = Prompts(prefix=(), queries=CHOSEN)
    scores = judge(prompts, TWO_EACH).tally.scores
    assert scores.macro_f1 == pytest.approx(1 / 3)  # F1 0 and 2/3
    others = judge(replace(prompts, classes=False), TWO_EACH).tally.scores
    assert others == replace(scores, macro_f1=None)


@pytest.mark.parametrize("scoring", [Scoring.LENGTH_NORMALISED, Scoring.MEAN_LOGLIKELIHOOD, Scoring.MEAN_LOGIT])
def test_scores_that_are_no_log_likelihoods_tell_no_probability_to_calibrate(scoring: Scoring) -> None:
    prompts = Prompts(prefix=(), queries=CHOSEN)
    scores = judge(prompts, TWO_EACH).tally.scores
    assert scores.calibration_error is not None
    assert judge(replace(prompts, scoring=scoring), TWO_EACH).tally.scores == replace(scores, calibration_error=None)


def test_a_part_that_an_older_version_judged_is_continued() -> None:
    older = Prompts(prefix=(), queries=CHOSEN)
    newer = replace(older, classes=False, scoring=Scoring.LENGTH_NORMALISED)
    both = judge(older.part(0, 1), TWO_EACH).tally + judge(newer.part(1, 2), TWO_EACH).tally
    assert both == judge(newer, TWO_EACH).tally
