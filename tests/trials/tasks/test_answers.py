"""Answers of any number of tokens, their ends and open ones: from a task to scores, as running each prompt alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.wording import render_prompts
from tests.trials.reference import edit_in_place, score_one_by_one
from tests.trials.small_readers import BEGINNING, CONTEXT_LENGTH, Reader, build_reader
from tests.trials.tokens.tokenizers import make_task, with_answers

TEXTS = ("a dull film", "the rain is cold", "no team", "very bright")
ANSWERS = (" no", " not very bright", " a story and a song", " film; cold", " the river")
CLIPS = [(), (Clip(layer=0, module="mlp", clip_rate=0.8),), (Clip(layer=1, module="attn", clip_rate=0.6),)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module", params=BEGINNING)
def reader(request: pytest.FixtureRequest, place: Path) -> Reader:
    return build_reader(request.param, place / request.param, place / "cache")


def task_of(*answers: str, **keys: Any) -> Task:
    task = with_answers(make_task(*TEXTS), *answers)
    return replace(task, definition=replace(task.worded, **keys))


def wanted(shots: int) -> PromptSet:
    return PromptSet(shots=shots, demo_seed=0, split="validation")


def alone(reader: Reader, task: Task, clips: Sequence[Clip], shots: int) -> torch.Tensor:
    """Sums of the log-likelihoods of what follows the prompt, by transformers alone, one text after the other."""
    model, tokenizer = edit_in_place(reader.model, clips), reader.tokenizer
    rows = task.splits["validation"]
    scores = []
    for prompt, row in zip(render_prompts(task, wanted(shots), rows), rows, strict=True):
        for answer in row.answers:
            start, whole = (
                [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
                for text in (prompt, prompt + answer)
            )
            whole += [tokenizer.eos_token_id] * task.ends_answers
            with torch.no_grad():
                logits = model(torch.tensor([whole])).logits[0].float().log_softmax(dim=-1)
            scores.append(sum(logits[place - 1, whole[place]] for place in range(len(start), len(whole))))
    return torch.tensor(scores).reshape(len(rows), -1)


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("clips", CLIPS, ids=["untouched", "mlp", "attn"])
def test_five_answers_of_different_lengths_score_as_each_alone(
    clips: Sequence[Clip], shots: int, reader: Reader
) -> None:
    task = task_of(*ANSWERS)
    prompts = encode_prompts(task, reader.tokenizer, wanted(shots), CONTEXT_LENGTH)
    assert len({len(label) for label in prompts.queries[0].labels}) >= 3
    scored = reader.engine.score(prompts, resolve(clips, reader.engine.card), microbatch=3).log_likelihoods
    expected = score_one_by_one(edit_in_place(reader.model, clips), prompts)
    torch.testing.assert_close(scored, expected, atol=2e-5, rtol=0)
    torch.testing.assert_close(scored, alone(reader, task, clips, shots), atol=5e-5, rtol=0)


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("clips", CLIPS[:2], ids=["untouched", "mlp"])
def test_answers_that_begin_one_another_score_with_their_ends_as_each_alone(
    clips: Sequence[Clip], shots: int, reader: Reader
) -> None:
    task = task_of(" no", " no story", " no story and a song", end_of_answer=True)
    prompts = encode_prompts(task, reader.tokenizer, wanted(shots), CONTEXT_LENGTH)
    scored = reader.engine.score(prompts, resolve(clips, reader.engine.card), microbatch=3).log_likelihoods
    torch.testing.assert_close(scored, alone(reader, task, clips, shots), atol=5e-5, rtol=0)


def test_the_mean_over_a_candidate_s_tokens_has_its_end_in_it(reader: Reader) -> None:
    task = task_of(" no", " no story", end_of_answer=True, scoring=Scoring.MEAN_LOGLIKELIHOOD)
    prompts = encode_prompts(task, reader.tokenizer, wanted(0), CONTEXT_LENGTH)
    scored = reader.engine.score(prompts, resolve((), reader.engine.card), microbatch=2).log_likelihoods
    lengths = torch.tensor([[float(len(label)) for label in query.labels] for query in prompts.queries])
    torch.testing.assert_close(scored * lengths, alone(reader, task, (), 0), atol=1e-4, rtol=0)


def test_only_answers_that_are_the_same_for_every_row_are_classes(reader: Reader) -> None:
    same = task_of(" no", " yes")
    rows = [replace(row, answers=(f" no {row.row[1]}", " yes")) for row in same.splits["validation"]]
    for task, classes in ((same, True), (replace(same, splits={"validation": tuple(rows)}), False)):
        assert encode_prompts(task, reader.tokenizer, wanted(0), CONTEXT_LENGTH).classes is classes
