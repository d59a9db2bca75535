"""Requests of the harness as prompts: what they share, how many demonstrations there are, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.kinds import DEMONSTRATIONS, Texts
from clipsweep.trials.spec.trial import VALIDATION, PromptSet
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts, encode_texts
from clipsweep.trials.tokens.wording import render_prompts
from tests.trials.harness.helpers import load_harness_task

CONTEXT = 256


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


def wanted(shots: int, demo_seed: int = 0) -> PromptSet:
    return PromptSet(shots=shots, demo_seed=demo_seed, split=VALIDATION)


def encode(name: str, tokenizer: PreTrainedTokenizerFast, shots: int, demo_seed: int = 0) -> tuple[Task, Prompts]:
    task = load_harness_task(f"clip_{name}")
    return task, encode_prompts(task, tokenizer, wanted(shots, demo_seed), CONTEXT)


def test_fixed_demonstrations_are_shared(tokenizer: PreTrainedTokenizerFast) -> None:
    task, prompts = encode("delimiter", tokenizer, 2)
    shown = tokenizer.decode(prompts.prefix)
    assert shown.startswith("how does the story end?\n\nstorm tempo")
    assert shown.count(" -> ") == prompts.demonstrations == 2
    assert not prompts.own_demonstrations
    assert render_prompts(task, wanted(2), task.splits[VALIDATION][:1])[0].startswith(shown)


def test_demonstrations_of_each_document_leave_the_description_to_share(tokenizer: PreTrainedTokenizerFast) -> None:
    _, prompts = encode("random", tokenizer, 3)
    assert tokenizer.decode(prompts.prefix).strip() == "how does the story end?"
    assert prompts.own_demonstrations


def test_contexts_that_differ_go_to_the_answers_and_are_not_scored(tokenizer: PreTrainedTokenizerFast) -> None:
    task, prompts = encode("blanks", tokenizer, 0)
    row, query = task.splits[VALIDATION][0], prompts.queries[0]
    assert query.unscored is not None
    for answer, label, unscored in zip(row.answers, query.labels, query.unscored, strict=True):
        assert tokenizer.decode(query.tokens + label) == row.query + answer
        assert tokenizer.decode(label[unscored:]) == " " + " ".join(answer.split()[3:])


def test_nothing_before_an_answer_is_the_beginning_of_text_token(tokenizer: PreTrainedTokenizerFast) -> None:
    _, prompts = encode("bare", tokenizer, 0)
    assert {prompts.prefix + query.tokens for query in prompts.queries} == {(tokenizer.bos_token_id,)}


def test_seeds_draw_other_demonstrations_and_the_same_ones_again(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [encode("random", tokenizer, 3, seed)[1].queries for seed in (0, 1, 1)]
    assert texts[0] != texts[1] == texts[2]


def test_rows_that_are_asked_for_alone_are_the_same(tokenizer: PreTrainedTokenizerFast) -> None:
    task, whole = encode("random", tokenizer, 3)
    some = encode_prompts(task, tokenizer, wanted(3), CONTEXT, [1, 4])
    alone = [some.prefix + query.tokens for query in some.queries]
    assert alone == [whole.prefix + whole.queries[number].tokens for number in (1, 4)]


def test_a_tokenizer_that_begins_texts_itself_does_so_once(tokenizer: PreTrainedTokenizerFast) -> None:
    from tests.trials.texts.helpers import starting_tokenizer

    starting = starting_tokenizer()
    _, prompts = encode("endings", starting, 0)
    tokens = prompts.prefix + prompts.queries[0].tokens
    assert tokens[0] == starting.bos_token_id
    assert tokens.count(starting.bos_token_id) == 1


@pytest.mark.parametrize(
    ("name", "shots", "demo_seed", "told"),
    [
        ("delimiter", 7, 0, r"7 shots are asked for, but .* has 6 documents for demonstrations; .*Lower space.shots"),
        ("letters", 8, 0, r"has 7 documents for demonstrations, the document itself left out; expected as many"),
        ("delimiter", 2, 1, r"seed 1 is asked for, but .* takes its first documents.*Set space.demo_seeds: \[0\]"),
    ],
)
def test_demonstrations_that_cannot_be_had_are_refused(
    name: str, shots: int, demo_seed: int, told: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(TaskError, match=rf"(?s){told}"):
        encode(name, tokenizer, shots, demo_seed)


def test_a_prompt_longer_than_the_context_is_refused_with_its_document(tokenizer: PreTrainedTokenizerFast) -> None:
    task = load_harness_task("clip_random")
    with pytest.raises(TaskError, match=r"document \d+ of 'validation' .* makes a prompt of \d+ tokens .* fewer shots"):
        encode_prompts(task, tokenizer, wanted(3), 30)


def test_a_kind_of_clip_may_look_at_prompts_and_not_at_demonstrations(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    task, prompts = encode("delimiter", tokenizer, 2)
    asked = wanted(2)
    texts = encode_texts(task, tokenizer, asked, CONTEXT, Texts(split=VALIDATION, rows=3))
    assert list(texts) == [prompts.prefix + query.tokens for query in prompts.queries[:3]]
    with pytest.raises(TaskError, match="does not have as one text for all rows.*Set its option split: validation"):
        encode_texts(task, tokenizer, asked, CONTEXT, Texts(split=DEMONSTRATIONS, rows=0))


@pytest.mark.parametrize(("name", "classes"), [("letters", True), ("random", False)])
def test_only_choices_that_are_the_same_for_every_document_are_classes(
    name: str, classes: bool, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert encode(name, tokenizer, 0)[1].classes is classes
