"""True log-likelihoods, greedy answers and texts: as running each prompt alone gives them, in every way."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine import label_readings
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.engine.probe import TogetherCheck
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from tests.trials.engine.test_exactness import FALLBACK, FOUR_SHOTS, draw_tokens, make_engine, model_of
from tests.trials.reference import edit_in_place, run_one_by_one

LIKELIHOODS = 1e-4  # nats: what the harness is agreed with to
NAMES = ("gptj", "llama", "gemma2", "gpt_neo", FALLBACK)
CLIPS = [(), (Clip(layer=0, module="mlp", clip_rate=0.6),), (Clip(layer=1, module="attn", clip_rate=0.8),)]
PREFIXES = pytest.mark.parametrize("prefix", [0, FOUR_SHOTS], ids=["no-shots", "shots"])


def draw_queries(lengths: tuple[tuple[int, ...], ...], seed: int = 0) -> tuple[Query, ...]:
    """Queries, each of so many tokens, with labels of so many tokens each."""
    draw = random.Random(seed)
    return tuple(
        Query(tokens=draw_tokens(draw, first), labels=tuple(draw_tokens(draw, each) for each in labels), gold=0)
        for first, *labels in lengths
    )


def choices() -> tuple[Query, ...]:
    return draw_queries(((5, 3, 1, 7), (12, 2, 2), (1, 1, 4, 1, 6), (3, 1)))


def with_lengths(query: Query) -> Query:
    return replace(query, lengths=tuple(3.5 + 2 * number for number in range(len(query.labels))))


def with_contexts(query: Query) -> Query:
    """Two leading tokens of each label are the prompt's."""
    labels = tuple((9, number + 10, *label) for number, label in enumerate(query.labels))
    return replace(query, labels=labels, unscored=(2,) * len(labels))


def apart(query: Query) -> Query:
    """The labels have nothing in common: each holds its own prompt."""
    labels = tuple((number + 20, *query.tokens, *label) for number, label in enumerate(query.labels))
    return replace(query, tokens=(), labels=labels, unscored=(1 + len(query.tokens),) * len(labels))


def single(query: Query) -> Query:
    return replace(query, labels=tuple(label[:1] for label in query.labels))


def texts() -> tuple[Query, ...]:
    return draw_queries(((1, 20), (1, 20), (1, 20), (6, 14), (1, 3), (1, 1)))


OBJECTIVES: dict[str, Callable[[], Prompts]] = {
    "choices of different number": lambda: Prompts(prefix=(), queries=choices(), normalised=True),
    "divided by lengths": lambda: Prompts(
        prefix=(), queries=tuple(map(with_lengths, choices())), scoring=Scoring.LENGTH_NORMALISED
    ),
    "contexts of their own": lambda: Prompts(prefix=(), queries=tuple(map(with_contexts, choices())), normalised=True),
    "nothing in common": lambda: Prompts(prefix=(), queries=tuple(map(apart, choices())), normalised=True),
    "single tokens": lambda: Prompts(prefix=(), queries=tuple(map(single, choices())), normalised=True),
    "single tokens divided": lambda: Prompts(
        prefix=(), queries=tuple(with_lengths(single(query)) for query in choices()), scoring=Scoring.LENGTH_NORMALISED
    ),
    "greedy": lambda: Prompts(
        prefix=(), queries=draw_queries(((5, 3), (12, 1), (1, 4), (3, 1))), scoring=Scoring.GREEDY
    ),
    "greedy single tokens": lambda: Prompts(
        prefix=(), queries=draw_queries(((5, 1), (12, 1), (1, 1), (3, 1))), scoring=Scoring.GREEDY
    ),
    "texts": lambda: Prompts(prefix=(), queries=texts(), scoring=Scoring.TEXT),
}
every_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def prompts_of(objective: str, prefix: int) -> Prompts:
    return replace(OBJECTIVES[objective](), prefix=draw_tokens(random.Random(prefix), prefix))


def assert_alike(scored: LabelScores, model: PreTrainedModel, prompts: Prompts) -> None:
    expected = run_one_by_one(model, prompts)
    torch.testing.assert_close(scored.log_likelihoods, expected.scores, atol=LIKELIHOODS, rtol=0)
    assert (scored.leads is not None) == (prompts.scoring is Scoring.GREEDY)
    if scored.leads is not None:
        torch.testing.assert_close(scored.leads, expected.leads, atol=LIKELIHOODS, rtol=0)


@pytest.mark.parametrize("name", NAMES)
@every_objective
@PREFIXES
def test_log_likelihoods_and_leads_are_those_of_running_each_prompt_alone(
    name: str, objective: str, prefix: int, cache: Path
) -> None:
    model, prompts = model_of(name), prompts_of(objective, prefix)
    engine = make_engine(model, cache)
    for clips in CLIPS:
        scored = engine.score(prompts, resolve(clips, engine.card), 3)
        assert_alike(scored, edit_in_place(model, clips), prompts)


@every_objective
def test_prompts_that_run_alone_are_scored_as_well(
    objective: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TogetherCheck, "passes", lambda *_: False)
    engine, prompts = make_engine(model_of("gptj"), cache), prompts_of(objective, 5)
    scored = engine.score(prompts, resolve(CLIPS[1], engine.card), 3)
    assert scored.engine_path == "full-prompts"
    assert_alike(scored, edit_in_place(model_of("gptj"), CLIPS[1]), prompts)


@pytest.mark.parametrize("scoring", [Scoring.LOGLIKELIHOOD, Scoring.LENGTH_NORMALISED])
def test_a_label_that_a_query_does_not_have_is_minus_infinity(scoring: Scoring, cache: Path) -> None:
    engine = make_engine(model_of("gptj"), cache)
    queries = tuple(map(with_lengths, choices()))
    scored = engine.score(Prompts(prefix=(), queries=queries, scoring=scoring), resolve((), engine.card), 2)
    missing = scored.log_likelihoods == -torch.inf
    assert missing.sum(dim=1).tolist() == [1, 2, 0, 3]


def test_single_tokens_after_contexts_of_their_own_are_no_logits_to_compare(cache: Path) -> None:
    queries = tuple(with_contexts(single(query)) for query in draw_queries(((5, 1, 1), (4, 1, 1))))
    prompts, engine = Prompts(prefix=(), queries=queries), make_engine(model_of("gptj"), cache)
    assert_alike(engine.score(prompts, resolve((), engine.card), 2), model_of("gptj"), prompts)


def test_the_token_that_a_model_likes_best_leads_and_no_other_does(cache: Path) -> None:
    model = model_of("llama")
    (query,) = draw_queries(((6, 1),))
    best = int(model(torch.tensor([query.tokens])).logits[0, -1].argmax())
    queries = tuple(replace(query, labels=((token,),)) for token in range(100))
    prompts = Prompts(prefix=(), queries=queries, scoring=Scoring.GREEDY)
    engine = make_engine(model, cache)
    leads = engine.score(prompts, resolve((), engine.card), 8).leads
    assert leads is not None
    assert (leads[:, 0] > 0).nonzero().flatten().tolist() == [best]


@pytest.mark.parametrize("objective", ["texts", "greedy", "choices of different number"])
@pytest.mark.parametrize("name", ["gptj", FALLBACK])
def test_few_logits_at_once_change_no_score(
    name: str, objective: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_readings, "LOGITS_AT_ONCE", 350)  # three positions of a vocabulary of 100
    prompts, engine = prompts_of(objective, 5), make_engine(model_of(name), cache)
    assert_alike(engine.score(prompts, resolve((), engine.card), 3), model_of(name), prompts)
