"""A task of text: its prompts, its fingerprint, and what is refused before any model is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.kinds import DEMONSTRATIONS, VALIDATION, Texts
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import define_task, load_task
from clipsweep.trials.tasks.settings import TaskSettings, TextSettings, TextSplits
from clipsweep.trials.texts.reader import check_length
from clipsweep.trials.texts.tokens import prefix_token, read_documents_as_tokens
from clipsweep.trials.tokens.encode import encode_prompts, encode_texts
from tests.trials.texts.helpers import draw_documents, load_texts, starting_tokenizer, write_texts
from tests.trials.texts.test_deal import documents
from tests.trials.tokens.tokenizers import marked_words

WANTED = PromptSet(shots=0, demo_seed=0, split=VALIDATION)
TEXTS = draw_documents(30)


def settings(path: Path | str, **keys: object) -> TaskSettings:
    return TaskSettings(name="text", text=replace(TextSettings(path=str(path)), **keys))  # type: ignore[arg-type]


def test_it_scores_every_token_by_likelihood_without_demonstrations() -> None:
    objective = define_task(settings("texts"))
    assert (objective.shots, objective.scoring, objective.metric) == (0, Scoring.TEXT, "nll")


def test_a_prompt_is_a_window_and_microbatches_end_at_the_rungs_of_a_race(tmp_path: Path) -> None:
    task = load_texts(tmp_path, TEXTS, length=16)
    prompts = encode_prompts(task, build_tokenizer(), WANTED, 16)
    assert (prompts.prefix, prompts.scoring, prompts.demonstrations) == ((), Scoring.TEXT, 0)
    assert prompts.longest() == 16
    assert prompts.cuts == make_rungs(len(task.splits[VALIDATION]))[:-1]
    tokens = sum(len(build_tokenizer()(text)["input_ids"]) for text in TEXTS)
    assert sum(len(query.labels[0]) for query in prompts.queries) == tokens


def test_the_rows_tell_what_is_given_and_what_is_scored(tmp_path: Path) -> None:
    rows = load_texts(tmp_path, TEXTS, length=16).splits[VALIDATION]
    ordered = sorted(rows, key=lambda row: (row.row, row.part))
    assert "".join(row.answers[0] for row in ordered) == "".join(TEXTS)


def test_its_fingerprint_is_that_of_the_tokens_and_of_how_they_are_cut(tmp_path: Path) -> None:
    same = [load_texts(tmp_path, TEXTS, length=16).fingerprint for _ in range(2)]
    others = [
        load_texts(tmp_path, TEXTS, length=17),
        load_texts(tmp_path, TEXTS, length=16, stride=8),
        load_texts(tmp_path, TEXTS[1:], length=16),
        load_texts(tmp_path, TEXTS, length=16, tokenizer=starting_tokenizer()),
    ]
    assert len({*same, *(task.fingerprint for task in others)}) == 5


def test_kinds_of_clip_read_windows_whole(tmp_path: Path) -> None:
    task = load_texts(tmp_path, TEXTS, length=16)
    prompts = encode_prompts(task, build_tokenizer(), WANTED, 16)
    read = encode_texts(task, build_tokenizer(), WANTED, 16, Texts(split=VALIDATION, rows=2))
    assert read == tuple(prompts.sequences(query)[0] for query in prompts.queries[:2])


def test_kinds_of_clip_that_read_demonstrations_are_refused(tmp_path: Path) -> None:
    task = load_texts(tmp_path, TEXTS, length=16)
    with pytest.raises(TaskError, match=r"takes its inputs from the demonstrations.*split: validation"):
        encode_texts(task, build_tokenizer(), WANTED, 16, Texts(split=DEMONSTRATIONS, rows=0))


def test_a_window_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    task = load_texts(tmp_path, TEXTS, length=16)
    with pytest.raises(
        TaskError, match=r"windows of 16 tokens; the model's context is 15\. Set task\.text\.length to 15"
    ):
        encode_prompts(task, build_tokenizer(), WANTED, 15)


def test_a_length_that_nobody_gave_is_compared_by_the_windows_alone() -> None:
    check_length(settings("texts").text, 512)
    with pytest.raises(TaskError, match=r"task\.text\.length is 513, but the model's context is 512"):
        check_length(settings("texts", length=513).text, 512)


@pytest.mark.parametrize("stride", [0, 9, -1])
def test_a_stride_that_leaves_tokens_out_is_refused(stride: int) -> None:
    with pytest.raises(TaskError, match=rf"task\.text\.stride is {stride}; expected 1 to task\.text\.length, 8"):
        define_task(settings("texts", length=8, stride=stride))


def test_windows_of_one_token_are_refused() -> None:
    with pytest.raises(TaskError, match=r"task\.text\.length is 1; expected 2 or more"):
        define_task(settings("texts", length=1))


def test_a_test_size_without_a_split_for_it_is_refused() -> None:
    asked = replace(settings("texts", splits=TextSplits(validation="train")), test_size=5)
    with pytest.raises(TaskError, match=r"task\.test_size is 5, but task\.text\.splits has no test.*Name one"):
        define_task(asked)


def test_text_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no model is named\. Give one: --model"):
        load_task(settings(write_texts(tmp_path / "texts.jsonl", TEXTS)), tmp_path)


def test_no_text_at_all_is_refused(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "texts.jsonl", ["", ""])
    with pytest.raises(TaskError, match=r"texts\.jsonl holds no text; expected one document or more"):
        load_task(settings(path), tmp_path, build_tokenizer)


def test_each_split_may_come_from_one_of_the_source(tmp_path: Path) -> None:
    write_texts(tmp_path / "rows" / "dev.jsonl", TEXTS[:20])
    write_texts(tmp_path / "rows" / "test.jsonl", TEXTS[15:])
    asked = settings(tmp_path / "rows", splits=TextSplits(validation="dev", test="test"))
    task = load_task(asked, tmp_path, build_tokenizer)
    assert {row.row[0] for row in task.splits["test"]} == {"test"}
    assert {row.row for row in task.splits[VALIDATION]} == {("dev", number) for number in range(15)}
    assert task.dropped == {VALIDATION: 5}
    untested = settings(tmp_path / "rows", splits=TextSplits(validation="dev"))
    assert set(load_task(untested, tmp_path, build_tokenizer).splits) == {VALIDATION}


def test_special_tokens_in_a_document_are_plain_text() -> None:
    tokenizer = build_tokenizer()
    (read,) = read_documents_as_tokens(tokenizer, documents(f"a{tokenizer.eos_token}b"))
    assert tokenizer.eos_token_id not in read
    assert tokenizer.decode(read) == f"a{tokenizer.eos_token}b"


def test_a_document_begins_with_what_the_tokenizer_puts_before_a_text() -> None:
    tokenizer = starting_tokenizer()
    (read,) = read_documents_as_tokens(tokenizer, documents("a film"))
    assert list(read) == tokenizer("a film")["input_ids"]
    assert read[0] == tokenizer.bos_token_id


def test_the_first_token_follows_the_beginning_of_text_token_else_the_end_of_text_token() -> None:
    tokenizer = marked_words()
    assert prefix_token(tokenizer) == tokenizer.bos_token_id
    tokenizer.bos_token = None
    assert prefix_token(tokenizer) == tokenizer.eos_token_id
    tokenizer.eos_token = None
    with pytest.raises(TaskError, match=r"no beginning-of-text and no end-of-text token.*tokenizer_config\.json"):
        prefix_token(tokenizer)


def test_how_many_documents_windows_are_of_is_told_where_one_has_several(tmp_path: Path) -> None:
    (note,) = load_texts(tmp_path, TEXTS[:2], length=4).notes
    assert "windows of validation are of 2 documents: windows of one document are not independent" in note
    assert load_texts(tmp_path, TEXTS, length=4096).notes == ()
