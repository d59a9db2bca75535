"""What singular values say of clips, by hand: two matrices with singular values 4, 2, 1, 1 and 1, 1, 1, 1."""

from __future__ import annotations

from typing import Any

import pytest

from clipsweep.analysis.spectra.columns import spectrum_record
from clipsweep.analysis.theory.clipped_matrices import ClippedMatrices
from clipsweep.trials.clips.spectrum import MatrixSpectrum
from clipsweep.trials.spec.clip import Clip
from tests.analysis.theory.studies import clip_at

PLACES = [(0, "up"), (0, "down"), (1, "up"), (1, "down")]


def record(role: str, values: tuple[float, ...], entry_std: float | None = 0.5) -> dict[str, Any]:
    spectrum = MatrixSpectrum(
        layer=0, role=role, parameter=role, expert=None, rows=4, cols=4, singular_values=values, entry_std=entry_std
    )
    return spectrum_record(spectrum)


RECORDS = [record("up", (4.0, 2.0, 1.0, 1.0)), record("down", (1.0, 1.0, 1.0, 1.0))]


def test_the_largest_among_the_matrices_of_a_clip_counts() -> None:
    found = ClippedMatrices(RECORDS, PLACES).of((clip_at(0),))
    assert found["condition_number"] == 4.0
    assert found["stable_rank"] == 4.0  # of down: 4 / 1; of up 22 / 16
    assert found["spectral_norm"] == 4.0
    assert found["signal_ratio"] == 1.0  # the edge is 0.5 * (2 + 2) = 2: of up 4 over 2 + 1 + 1
    assert found["share_removed"] == pytest.approx(0.5)  # half the rank: of up 2 / 22, of down 2 / 4


def test_another_combination_is_taken_where_the_study_says_so() -> None:
    found = ClippedMatrices(RECORDS, PLACES, "mean").of((clip_at(0),))
    assert found["condition_number"] == 2.5
    assert found["share_removed"] == pytest.approx((2 / 22 + 1 / 2) / 2)


def test_a_clip_with_a_matrix_that_was_not_measured_says_nothing() -> None:
    assert set(ClippedMatrices(RECORDS, PLACES).of((clip_at(1),)).values()) == {None}
    assert set(ClippedMatrices(RECORDS, [*PLACES, (0, "gate")]).of((clip_at(0),)).values()) == {None}


def test_the_share_removed_is_told_of_the_usual_kind_alone() -> None:
    found = ClippedMatrices(RECORDS, PLACES).of((Clip(layer=0, module="up", clip_rate=0.5, kind="magnitude"),))
    assert (found["condition_number"], found["share_removed"]) == (4.0, None)


def test_without_the_entries_there_is_no_signal_ratio() -> None:
    found = ClippedMatrices([record("up", (4.0, 2.0, 1.0, 1.0), entry_std=None)], [(0, "up")]).of((clip_at(0, "up"),))
    assert (found["signal_ratio"], found["condition_number"]) == (None, 4.0)
