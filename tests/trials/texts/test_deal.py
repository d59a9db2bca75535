"""Documents dealt to validation and test."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.texts.deal import Dealt, Sizes, deal_apart, deal_shared
from clipsweep.trials.texts.documents import Document
from clipsweep.trials.texts.windows import Window


def documents(*texts: str) -> list[Document]:
    return [Document(text=text, place=("all", number), where=f"row {number}") for number, text in enumerate(texts)]


def by_letter(some: Sequence[Document]) -> list[list[Window]]:
    """A window for each letter."""
    return [[Window(context=(0,), scored=(ord(letter),)) for letter in each.text] for each in some]


def letters(dealt: Dealt, split: str) -> str:
    return "".join(sorted(chr(each.window.scored[0]) for each in dealt.splits.get(split, ())))


TEN = documents(*"abcdefghij")


def test_half_of_the_documents_are_validation_where_no_size_is_asked_for() -> None:
    dealt = deal_shared(TEN, by_letter, Sizes(validation=None, test=None), seed=0)
    assert {split: len(each) for split, each in dealt.splits.items()} == {"validation": 5, "test": 5}
    assert sorted(letters(dealt, "validation") + letters(dealt, "test")) == list("abcdefghij")


def test_sizes_are_windows_and_a_smaller_one_is_part_of_a_larger() -> None:
    three, seven = (deal_shared(TEN, by_letter, Sizes(validation=size, test=2), seed=0) for size in (3, 7))
    assert set(letters(three, "validation")) < set(letters(seven, "validation"))
    assert letters(three, "test") == letters(seven, "test")


def test_windows_of_a_document_that_are_too_many_are_in_no_other_split() -> None:
    dealt = deal_shared(documents("abcdef", "uvwxyz"), by_letter, Sizes(validation=2, test=2), seed=0)
    assert {letter < "m" for letter in letters(dealt, "validation")} != {
        letter < "m" for letter in letters(dealt, "test")
    }


def test_all_is_validation_where_there_is_no_test() -> None:
    dealt = deal_shared(TEN, by_letter, Sizes(validation=None, test=0), seed=0)
    assert letters(dealt, "validation") == "abcdefghij"
    assert set(dealt.splits) == {"validation"}


def test_documents_of_one_text_go_together() -> None:
    dealt = deal_shared(documents("a", "b", "a", "a"), by_letter, Sizes(validation=None, test=None), seed=0)
    assert {letters(dealt, "validation"), letters(dealt, "test")} == {"aaa", "b"}


def test_validation_loses_the_documents_that_the_test_source_holds() -> None:
    sizes = Sizes(validation=None, test=None)
    dealt = deal_apart(documents("a", "b", "c"), documents("b", "d"), by_letter, sizes, seed=0)
    assert (letters(dealt, "validation"), letters(dealt, "test"), dealt.dropped) == ("ac", "bd", 1)


def test_the_order_is_that_of_the_seed() -> None:
    first, again, other = (
        [each.window for each in deal_shared(TEN, by_letter, Sizes(validation=None, test=0), seed).splits["validation"]]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_more_windows_than_there_are_are_refused() -> None:
    with pytest.raises(
        TaskError, match=r"task\.validation_size is 11, .* give 10 windows; expected at most 10\. Lower"
    ):
        deal_shared(TEN, by_letter, Sizes(validation=11, test=0), seed=0)


def test_a_test_of_more_windows_than_are_left_is_refused() -> None:
    with pytest.raises(TaskError, match=r"task\.test_size is 4, .* give 3 windows"):
        deal_shared(TEN, by_letter, Sizes(validation=7, test=4), seed=0)


def test_one_document_leaves_none_for_the_test() -> None:
    with pytest.raises(TaskError, match=r"no document is left for test.*task\.test_size: 0"):
        deal_shared(documents("abc"), by_letter, Sizes(validation=None, test=None), seed=0)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        (
            Sizes(validation=None, test=1),
            "^no document is left for validation, as 2 documents of it are in the test too",
        ),
        (
            Sizes(validation=None, test=1),
            r"expected one or more\. Give more documents, or do without a test: task.test_",
        ),
        (
            Sizes(validation=3, test=None),
            "^task.validation_size is 3, but no document is left for it, as 2 documents of",
        ),
    ],
)
def test_where_the_test_has_all_of_validation_that_is_said(sizes: Sizes, told: str) -> None:
    with pytest.raises(TaskError, match=told):
        deal_apart(documents("a", "b"), documents("a", "b", "c"), by_letter, sizes, seed=0)


def test_what_helps_is_offered_alone() -> None:
    with pytest.raises(
        TaskError, match=r"expected at most 2\. Lower task.test_size or task.text.length, or give more do"
    ):
        deal_apart(documents("a"), documents("bc"), by_letter, Sizes(validation=1, test=3), seed=0)
    with pytest.raises(
        TaskError, match=r"left for test, as none .*\. Give more documents, or lower task.validation_size"
    ):
        deal_shared(TEN, by_letter, Sizes(validation=10, test=None), seed=0)


sizes_of = st.none() | st.integers(1, 9)


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=9), sizes_of, sizes_of, st.integers(0, 99))
def test_no_text_is_in_two_splits(texts: list[str], validation: int | None, test: int | None, seed: int) -> None:
    try:
        dealt = deal_shared(documents(*texts), by_letter, Sizes(validation=validation, test=test), seed)
    except TaskError:
        return
    found = {split: {each.document.text for each in cuts} for split, cuts in dealt.splits.items()}
    assert not found["validation"] & found["test"]
    assert all(len(dealt.splits[split]) == size for split, size in (("validation", validation), ("test", test)) if size)
