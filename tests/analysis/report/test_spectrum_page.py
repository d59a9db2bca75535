import math
import re
from pathlib import Path

import pytest

from clipsweep.analysis.report.spectrum_page import MOST_ROWS, headline, matrices_table, reasons, write_spectrum_report
from tests.analysis.figures.matrices.spectra import frame_of
from tests.trials.clips.test_spectrum import make_spectrum

GOOD = make_spectrum(8.0, 4.0, 2.0, condition_number_float64=4.0, entry_std=0.5)


def test_the_page_says_first_which_condition_number_is_the_largest(tmp_path: Path) -> None:
    worse = make_spectrum(24690.0, 2.0, layer=3, role="up", condition_number_float64=12345.0, entry_std=0.5)
    assert headline(frame_of(tmp_path, GOOD, worse)) == "The largest condition number is 12,345: up of layer 3"


def test_singular_matrices_are_told_of_before_all_others(tmp_path: Path) -> None:
    singular = make_spectrum(2.0, 0.0, layer=1, condition_number_float64=1e17, entry_std=0.5)
    frame = frame_of(tmp_path, GOOD, singular)
    assert headline(frame) == "1 of 2 matrices are singular; the first is layer 1 q"
    assert "infinite" in matrices_table(frame).rows[1]


@pytest.mark.parametrize(
    ("smallest", "double", "words"),
    [
        (2.0, 4.1, "the same condition numbers"),
        (2.0, 4.3, "1 condition number of 1 differ"),
        (0.0, math.inf, "the same condition numbers"),
        (0.0, 1e17, "1 condition number of 1 differ"),
        (2.0, math.inf, "1 condition number of 1 differ"),
    ],
)
def test_where_float32_guesses_is_said(tmp_path: Path, smallest: float, double: float, words: str) -> None:
    spectrum = make_spectrum(8.0, 4.0, smallest, condition_number_float64=double, entry_std=0.5)
    assert words in reasons(frame_of(tmp_path, spectrum))[0]


def test_an_edge_below_all_singular_values_is_said_to_be_no_noise_level(tmp_path: Path) -> None:
    flat = make_spectrum(3.0, 3.0, condition_number_float64=1.0, entry_std=0.5)
    assert "below every singular value of 1 of 2 matrices" in reasons(frame_of(tmp_path, GOOD, flat))[1]
    assert len(reasons(frame_of(tmp_path, make_spectrum(8.0, 1.0, 0.1, condition_number_float64=80.0)))) == 1


def test_a_matrix_has_a_row_with_its_numbers(tmp_path: Path) -> None:
    table = matrices_table(frame_of(tmp_path, GOOD))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["matrix"], row["shape"]) == ("layer\N{NO-BREAK SPACE}0\N{NO-BREAK SPACE}q", "3 × 4")
    assert (row["condition number, float32"], row["stable rank"], row["above it"]) == ("4", "1.312", "3")


def test_of_very_many_matrices_those_with_the_largest_condition_numbers_are_listed(tmp_path: Path) -> None:
    experts = [make_spectrum(2.0 + number, 1.0, role="up", expert=number) for number in range(MOST_ROWS + 5)]
    table = matrices_table(frame_of(tmp_path, *experts))
    assert len(table.rows) == MOST_ROWS
    assert table.rows[0][2] == "7"  # the first five are left out
    assert f"the {MOST_ROWS} of {MOST_ROWS + 5}" in table.caption


def test_the_page_has_everything_inside_and_escapes_the_name_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "s.html"
    write_spectrum_report(path, "<b>m", {"model": "<b>m"}, frame_of(tmp_path, GOOD))
    page = path.read_text(encoding="utf-8")
    assert "<b>m" not in page
    assert "What the numbers mean" in page
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page)
    assert [tag for tag in tags if "http" in tag or "src=" in tag or "<link" in tag] == []
