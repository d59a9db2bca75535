from dataclasses import replace

import pytest

from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tokens.notes import prompt_notes
from tests.trials.tokens.tokenizers import byte_level, make_task, marked_words, with_answers


def notes(query: str, *answers: str, text: str = "fine") -> list[str]:
    return prompt_notes(with_answers(make_task(text, query=query), *answers), byte_level(), "validation")


def test_a_label_without_its_space_is_named_with_the_mend() -> None:
    (note,) = notes("{text}\nlabel:", "good", "bad")
    assert note.startswith("answers 'good', 'bad' follow 'label:' without a space")
    assert "Begin each answer with a space (' good')" in note


def of_demonstrations(demonstration: str) -> list[str]:
    return prompt_notes(make_task("fine", demonstration=demonstration), byte_level(), "validation")


def test_an_answer_that_loses_its_space_in_the_demonstrations_is_named_with_the_mend() -> None:
    (note,) = of_demonstrations("text: {text}\nlabel:{answer}\n")
    assert note.startswith("in demonstrations answers 'good', 'bad' follow 'label:' without the space that is scored")
    assert "Write {answer!w}" in note


@pytest.mark.parametrize("end", ["label:{answer!w}", "label: {answer}", "label:\n{answer}", "[{answer}]", "no answer"])
def test_an_answer_that_keeps_its_space_in_the_demonstrations_is_not_remarked_on(end: str) -> None:
    assert of_demonstrations(f"text: {{text}}\n{end}\n") == []


def test_only_the_labels_without_their_space_are_named() -> None:
    assert notes("{text}\nlabel:", " good", "bad")[0].startswith("answer 'bad' follows 'label:'")


@pytest.mark.parametrize("kind", [byte_level, marked_words])
def test_tokenizers_with_and_without_bytes_tell_alike(kind: object) -> None:
    task = with_answers(make_task("fine"), "good", "bad")
    assert len(prompt_notes(task, kind(), "validation")) == 1  # type: ignore[operator]


@pytest.mark.parametrize(
    ("query", "answers"),
    [
        ("{text}\nlabel:", (" good", " bad")),
        ("{text}\nlabel: ", ("good", "bad")),
        ("{text}\nlabel:\n", ("good", "bad")),
        ('{text}\nlabel "', ("good", "bad")),
        ("{text} (", ("good", "bad")),
        ("<|turn|>{text}<|turn|>", ("good", "bad")),
        ("{text}\nlabel:", ("!", "?")),
        ("文本：{text}\n标签：", ("好", "坏")),
        ("{text}\nlabel:", ("好", "坏")),
        ("{text}\nラベル", ("good", "bad")),
        ("{text}\nคำตอบ:", ("ดี", "เลว")),
    ],
)
def test_answers_as_a_model_has_seen_them_are_not_remarked_on(query: str, answers: tuple[str, ...]) -> None:
    assert notes(query, *answers) == []


def test_an_arrow_wants_a_space_after_it() -> None:
    assert "follow 'fine =>' without a space" in notes("{text} =>", "good", "bad")[0]


def test_two_spaces_before_an_answer_are_named() -> None:
    assert "after two spaces or more" in notes("{text}\nlabel: ", " good", " bad")[0]
    assert "after two spaces or more" in notes("{text}\nlabel:", "  good", " bad")[0]


def test_white_space_after_an_answer_is_named() -> None:
    assert notes("{text}\nlabel:", " good ", " bad")[0].startswith("answer ' good ' ends in white space")


def test_answers_that_differ_in_case_alone_are_named() -> None:
    assert "' Good', ' good' differ in case or white space alone" in notes("{text}\nlabel:", " Good", " good")[0]


def test_special_tokens_in_rows_are_counted() -> None:
    task = make_task("fine", "a <s> b", "c </s>")
    (note,) = prompt_notes(task, byte_level(), "validation")
    assert note.startswith("2 of 3 rows of validation hold the text of a special token")
    assert "row 1 of the source's 'train' (row 1 of validation), '<s>'" in note
    assert "read as plain text" in note


def test_the_beginning_that_a_query_writes_is_no_special_token_of_a_row() -> None:
    assert notes("<s>{text}\nlabel:", " good", " bad") == []


def test_of_the_release_nothing_is_said() -> None:
    task = with_answers(make_task("a <s>"), "good", "bad")
    released = replace(task, definition=replace(task.definition, scoring=Scoring.FIRST_TOKEN))
    assert prompt_notes(released, byte_level(), "validation") == []


def test_demonstrations_that_end_otherwise_than_the_answers_are_remarked_on() -> None:
    task = make_task("a")
    ends = replace(task, definition=replace(task.worded, end_of_answer=True))
    (note,) = prompt_notes(ends, byte_level(), "validation")
    assert "scored with the end-of-text token '</s>'" in note
    assert r"they end in '\n'" in note
    shown = replace(ends.worded, wording=replace(ends.wording, demonstration="text: {text}\nlabel:{answer!w}</s>"))
    assert prompt_notes(replace(ends, definition=shown), byte_level(), "validation") == []
