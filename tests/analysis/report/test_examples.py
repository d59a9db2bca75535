from clipsweep.analysis.report.examples import LONGEST_TEXT, MOST_SHOWN, directions_of
from clipsweep.analysis.winners.turned import Flips
from tests.analysis.report.pages import LONG, made_up_flips
from tests.analysis.store.rows import stored_row

FLIPS: Flips = made_up_flips(stored_row(outcomes=(True,) * 40), stored_row(outcomes=(False,) * 40))


def test_a_bounded_number_is_shown_in_each_direction() -> None:
    right, wrong = directions_of(FLIPS)
    assert (right.total, len(right.shown)) == (30, MOST_SHOWN)
    assert (wrong.total, len(wrong.shown)) == (1, 1)


def test_a_long_text_is_cut_between_words_and_nothing_is_lost() -> None:
    long = directions_of(FLIPS)[0].shown[1]
    assert long.text + long.rest == LONG.strip()
    assert len(long.text) <= LONGEST_TEXT
    assert long.rest.startswith(" ")


def test_a_label_that_is_not_known_is_a_wrong_one() -> None:
    (lost,) = directions_of(FLIPS)[1].shown
    assert lost.turn == "“yes” → a wrong one"
