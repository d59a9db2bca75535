from dataclasses import replace
from typing import Any

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.embeddings import check_embeddings
from clipsweep.trials.tokens.encode import encode_prompts
from tests.trials.tokens.tokenizers import byte_level, make_task, plain_ids, with_answers

NO_SHOTS = PromptSet(shots=0, demo_seed=0, split="validation")
TWO_SHOTS = replace(NO_SHOTS, shots=2)


def with_keys(task: Task, **keys: Any) -> Task:
    return replace(task, definition=replace(task.worded, **keys))


def ended(task: Task) -> Task:
    return with_keys(task, end_of_answer=True)


def encoded(task: Task, wanted: PromptSet = NO_SHOTS) -> Prompts:
    return encode_prompts(task, byte_level(), wanted, 512)


def test_the_end_of_text_token_is_the_last_of_each_answer() -> None:
    tokenizer = byte_level()
    expected = tuple((*plain_ids(tokenizer, word), tokenizer.eos_token_id) for word in (" good", " bad"))
    assert encoded(ended(make_task("a film"))).queries[0].labels == expected


def test_answers_that_begin_one_another_are_compared_where_their_ends_are_scored() -> None:
    task = with_answers(make_task("a film"), " good", " good film")
    short, long = encoded(ended(task)).queries[0].labels
    assert short[:-1] == long[: len(short) - 1]
    assert short[-1] == long[-1] == byte_level().eos_token_id


def test_the_refusal_of_answers_that_begin_one_another_names_the_key() -> None:
    task = with_answers(make_task("a film"), " good", " good film")
    with pytest.raises(TaskError, match=r"begins another.* Set task.definition.end_of_answer: true"):
        encoded(task)


@pytest.mark.parametrize("scoring", [Scoring.MEAN_LOGLIKELIHOOD, Scoring.LENGTH_NORMALISED])
def test_answers_that_begin_one_another_are_no_harm_where_their_lengths_count(scoring: Scoring) -> None:
    task = with_keys(with_answers(make_task("a film"), " good", " good film"), scoring=scoring)
    assert len({*encoded(task).queries[0].labels}) == 2


def test_two_answers_of_the_same_tokens_are_refused_whatever_ends_them() -> None:
    with pytest.raises(TaskError, match="are the same tokens; choose others"):
        encoded(ended(with_answers(make_task("a film"), " good", " good")))


def test_an_answer_of_its_end_alone_is_refused() -> None:
    with pytest.raises(TaskError, match="answer '' of row 0 .* adds no token after the prompt"):
        encoded(ended(with_answers(make_task("a film"), " good", "")))


def test_demonstrations_are_the_same_with_and_without_the_end() -> None:
    task = make_task("a film", "no film")
    with_end, without = encoded(ended(task), TWO_SHOTS), encoded(task, TWO_SHOTS)
    assert with_end.prefix == without.prefix
    assert [query.tokens for query in with_end.queries] == [query.tokens for query in without.queries]


def test_a_tokenizer_without_an_end_is_refused_where_it_is_wanted() -> None:
    tokenizer = byte_level()
    tokenizer.eos_token = None
    with pytest.raises(TaskError, match=r"the model's tokenizer has none; .*Do without task.definition.end_of_answer"):
        encode_prompts(ended(make_task("a film")), tokenizer, NO_SHOTS, 512)


def test_an_end_that_the_model_has_no_embedding_for_is_named() -> None:
    tokenizer = byte_level()
    size = len(tokenizer)
    tokenizer.add_special_tokens({"eos_token": "<end>"})
    with pytest.raises(TaskError, match="every answer ends with the tokenizer's end-of-text token '<end>', which is"):
        check_embeddings(ended(make_task("a film")), tokenizer, [NO_SHOTS], size)


def test_the_end_is_part_of_the_fingerprint() -> None:
    task = make_task("a film")
    assert ended(task).fingerprint != task.fingerprint
    assert with_keys(task, end_of_answer=False).fingerprint == task.fingerprint


def test_an_open_answer_is_the_one_label_of_a_query() -> None:
    task = make_task("a film", query="{text} is", answers=(" {text}",))
    task = with_keys(task, scoring=Scoring.GREEDY)
    (query,) = encoded(task).queries
    assert (query.labels, query.gold) == ((plain_ids(byte_level(), " a film"),), 0)
