import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.store.spectrum_file import SPECTRUM_SCHEMA, SpectrumFile
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.clips.spectrum import MatrixSpectrum
from tests.trials.clips.test_spectrum import make_spectrum

EXPERTS = [make_spectrum(4.0, 1.0, role="up", expert=1), make_spectrum(4.0, 2.0, role="up", expert=0)]


def spectrum_file(folder: Path, fingerprint: str = "f", dtype: str = "float32") -> SpectrumFile:
    return SpectrumFile(folder / "spectrum.parquet", fingerprint, dtype)


def fill(folder: Path, *spectra: MatrixSpectrum) -> Path:
    spectrum_file(folder).add(spectra)
    return folder / "spectrum.parquet"


def test_a_row_holds_all_of_a_matrix(tmp_path: Path) -> None:
    (row,) = pq.read_table(fill(tmp_path, make_spectrum(6.0, 1.5, layer=3))).to_pylist()
    assert row == {
        "model_fingerprint": "f", "dtype": "float32", "layer": 3, "role": "q", "parameter": "w", "expert": None,
        "rows": 2, "cols": 3, "singular_values": [6.0, 1.5], "condition_number": 4.0, "schema_version": 1,
    }  # fmt: skip


def test_rows_are_added_to_those_that_are_there_in_the_order_of_layers(tmp_path: Path) -> None:
    path = fill(tmp_path, make_spectrum(2.0, 1.0, layer=5))
    fill(tmp_path, *EXPERTS)
    table = pq.read_table(path)
    assert table.schema.equals(SPECTRUM_SCHEMA)
    assert [(row["layer"], row["role"], row["expert"]) for row in table.to_pylist()] == [
        (0, "up", 0), (0, "up", 1), (5, "q", None),
    ]  # fmt: skip
    assert spectrum_file(tmp_path).conditions() == {(0, "up"): (2.0, 4.0), (5, "q"): (2.0,)}


def test_an_infinite_condition_number_is_read_back(tmp_path: Path) -> None:
    fill(tmp_path, make_spectrum(2.0, 0.0))
    assert spectrum_file(tmp_path).conditions() == {(0, "q"): (math.inf,)}


@pytest.mark.parametrize("other", [("other", "float32"), ("f", "bfloat16")])
def test_rows_of_another_model_or_dtype_are_not_read_and_then_replaced(tmp_path: Path, other: tuple[str, str]) -> None:
    path = fill(tmp_path, make_spectrum(2.0, 1.0))
    assert spectrum_file(tmp_path, *other).conditions() == {}
    spectrum_file(tmp_path, *other).add([make_spectrum(3.0, 1.0, layer=1)])
    assert spectrum_file(tmp_path, *other).conditions() == {(1, "q"): (3.0,)}
    assert pq.read_table(path).num_rows == 1


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    assert not fill(tmp_path).exists()
    assert spectrum_file(tmp_path).conditions() == {}


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = fill(tmp_path, make_spectrum(2.0, 1.0))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(StoreError, match=r"spectrum.parquet is not a whole Parquet file .* Move it away"):
        spectrum_file(tmp_path).conditions()


def test_a_file_of_a_newer_clipsweep_is_refused(tmp_path: Path) -> None:
    path = fill(tmp_path, make_spectrum(2.0, 1.0))
    newer = pq.read_table(path).to_pylist()[0] | {"schema_version": 9}
    pq.write_table(pa.Table.from_pylist([newer], schema=SPECTRUM_SCHEMA), path)
    with pytest.raises(StoreError, match="schema version 9; this clipsweep reads up to 1. Upgrade"):
        spectrum_file(tmp_path).add([make_spectrum(3.0, 1.0, layer=1)])
