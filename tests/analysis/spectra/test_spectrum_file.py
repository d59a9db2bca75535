import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.spectra.columns import SPECTRUM_SCHEMA
from clipsweep.analysis.spectra.spectrum_file import SpectrumFile, read_spectra
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
    assert row.items() >= {
        "model_fingerprint": "f", "dtype": "float32", "layer": 3, "role": "q", "parameter": "w", "expert": None,
        "rows": 2, "cols": 3, "singular_values": [6.0, 1.5], "condition_number": 4.0, "schema_version": 2,
    }.items()  # fmt: skip


def test_a_row_holds_what_the_singular_values_say(tmp_path: Path) -> None:
    exact = make_spectrum(3.0, 3.0, 3.0, 1.0, condition_number_float64=3.5, entry_std=0.25, cols=9)
    (row,) = pq.read_table(fill(tmp_path, exact)).to_pylist()
    assert (row["condition_number_float64"], row["entry_std"], row["stable_rank"]) == (3.5, 0.25, 28 / 9)
    assert (row["entry_edge"], row["above_entry_edge"], row["entry_snr"]) == (0.25 * (2 + 3), 3, 9.0)
    assert row["iqr_edge"] == pytest.approx(0.5 / 1.349 * (1 + 2 / 3))  # quartiles 2.5 and 3: below all four values
    assert (row["above_iqr_edge"], row["iqr_snr"]) == (4, math.inf)


def test_what_was_not_measured_is_null(tmp_path: Path) -> None:
    (row,) = pq.read_table(fill(tmp_path, make_spectrum(2.0, 1.0))).to_pylist()
    unknown = {"condition_number_float64", "entry_std", "entry_edge", "above_entry_edge", "entry_snr", "expert"}
    assert {name for name, value in row.items() if value is None} == unknown


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
    with pytest.raises(StoreError, match="schema version 9; this clipsweep reads up to 2. Upgrade"):
        spectrum_file(tmp_path).add([make_spectrum(3.0, 1.0, layer=1)])


def as_version_1(path: Path) -> None:
    """Make a file what the first version wrote: without measures."""
    table = pq.read_table(path)
    old = table.select(table.column_names[: table.column_names.index("schema_version") + 1]).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | {"schema_version": 1} for row in old]), path)


def test_a_file_of_the_first_version_is_read_with_its_measures_worked_out(tmp_path: Path) -> None:
    path = fill(tmp_path, make_spectrum(4.0, 4.0), make_spectrum(2.0, 1.0, layer=1))
    before = read_spectra(path)
    as_version_1(path)
    after = read_spectra(path)
    assert after.schema.equals(SPECTRUM_SCHEMA)
    assert after["effective_rank"].to_pylist() == before["effective_rank"].to_pylist()
    assert after["condition_number_float64"].null_count == 2
    assert spectrum_file(tmp_path).conditions() == {(0, "q"): (1.0,), (1, "q"): (2.0,)}


def test_rows_are_added_to_a_file_of_the_first_version(tmp_path: Path) -> None:
    path = fill(tmp_path, make_spectrum(4.0, 4.0))
    as_version_1(path)
    fill(tmp_path, make_spectrum(6.0, 2.0, layer=1))
    assert spectrum_file(tmp_path).conditions() == {(0, "q"): (1.0,), (1, "q"): (3.0,)}
    assert pq.read_table(path)["stable_rank"].to_pylist() == [2.0, 1 + 1 / 9]


def test_a_file_that_lacks_a_column_of_every_version_is_refused(tmp_path: Path) -> None:
    path = fill(tmp_path, make_spectrum(4.0, 4.0))
    pq.write_table(pq.read_table(path).drop_columns(["rows"]), path)
    with pytest.raises(StoreError, match="has no column rows. Move it away"):
        read_spectra(path)


def test_each_column_says_what_it_holds(tmp_path: Path) -> None:
    fields = list(pq.read_schema(fill(tmp_path, make_spectrum(2.0, 1.0))))
    assert all((field.metadata or {})[b"description"].endswith(b".") for field in fields)
