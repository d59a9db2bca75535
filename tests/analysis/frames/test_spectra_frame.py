from pathlib import Path

from tests.analysis.figures.matrices.spectra import frame_of
from tests.trials.clips.test_spectrum import make_spectrum


def test_a_matrix_is_named_and_knows_its_modules(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, make_spectrum(2.0, 1.0, layer=3), make_spectrum(2.0, 1.0, role="up", expert=2))
    assert frame["name"].tolist() == ["layer 0 up of expert 2", "layer 3 q"]
    assert frame["modules"].tolist() == [("mlp", "all", "up"), ("attn", "all", "q")]


def test_singular_values_are_arrays_and_what_is_unknown_is_missing(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, make_spectrum(4.0, 1.0))
    assert frame["singular_values"][0].tolist() == [4.0, 1.0]
    assert frame["condition_number"].tolist() == [4.0]
    assert frame[["expert", "entry_edge", "above_entry_edge", "condition_number_float64"]].isna().all(axis=None)
