"""Documents cut into windows: each token once, after as much text as fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from clipsweep.trials.texts.windows import Window, cut_windows

PREFIX = 99


def test_windows_without_overlap_follow_one_token_and_the_last_reads_as_much_as_fits() -> None:
    assert cut_windows([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], PREFIX, length=4, stride=4) == [
        Window(context=(99,), scored=(0, 1, 2, 3)),
        Window(context=(3,), scored=(4, 5, 6, 7)),
        Window(context=(5, 6, 7), scored=(8, 9)),
    ]


def test_a_stride_scores_so_many_tokens_after_more_context() -> None:
    assert cut_windows([0, 1, 2, 3, 4, 5, 6], PREFIX, length=4, stride=2) == [
        Window(context=(99,), scored=(0, 1, 2, 3)),
        Window(context=(1, 2, 3), scored=(4, 5)),
        Window(context=(2, 3, 4, 5), scored=(6,)),
    ]


def test_a_short_document_is_one_window_after_the_prefix() -> None:
    assert cut_windows([0, 1], PREFIX, length=4, stride=4) == [Window(context=(99,), scored=(0, 1))]


def test_a_document_without_tokens_has_no_window() -> None:
    assert cut_windows([], PREFIX, length=4, stride=4) == []


lengths = st.integers(1, 12).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))


@given(st.lists(st.integers(0, 90), max_size=60), lengths)
def test_every_token_is_scored_once_in_a_window_that_fits(tokens: list[int], sizes: tuple[int, int]) -> None:
    length, stride = sizes
    windows = cut_windows(tokens, PREFIX, length, stride)
    assert [token for window in windows for token in window.scored] == tokens
    assert all(len(window.context) + len(window.scored) - 1 <= length for window in windows)
    assert all(window.context for window in windows)


@given(st.lists(st.integers(0, 90), max_size=60), lengths)
def test_windows_are_those_of_the_harness(tokens: list[int], sizes: tuple[int, int]) -> None:
    length, stride = sizes
    rolling = get_rolling_token_windows(tokens, PREFIX, length, length - stride + 1)
    expected = [tuple(map(tuple, make_disjoint_window(pair))) for pair in rolling]
    assert [(window.context, window.scored) for window in cut_windows(tokens, PREFIX, length, stride)] == expected
