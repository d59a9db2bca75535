import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.frames import read_frames
from clipsweep.orchestrator.views.checkpoint_spectrum import CheckpointSpectrum
from clipsweep.trials.clips import measure_spectrum
from tests.trials.clips.test_spectrum import make_spectrum
from tests.trials.models.test_card import CARD

runner = CliRunner()


def ask(*arguments: str) -> Any:
    result = runner.invoke(app, ["spectrum", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_table_has_a_row_for_each_layer_and_a_column_for_each_module(tiny_gptj: Path, cache: Path) -> None:
    lines = [line.strip("│┃ ").replace("┃", "│").split("│") for line in ask(str(tiny_gptj)).splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines if len(line) == 3]
    assert cells[0] == ["layer", "attn", "mlp"]
    assert [row[0] for row in cells[1:]] == ["0", "1"]


def test_the_document_has_every_matrix_with_its_singular_values(tiny_gptj: Path, cache: Path) -> None:
    document = json.loads(ask(str(tiny_gptj), "--json", "--modules", "mlp,fc_in", "--layers=-1", "--dtype", "bfloat16"))
    assert list(document) == ["model", "model_fingerprint", "dtype", "modules", "matrices"]
    assert document["dtype"] == "bfloat16"
    matrices = {matrix["role"]: matrix for matrix in document["matrices"]}
    assert list(matrices) == ["fc_in", "fc_out"]
    assert {matrix["layer"] for matrix in matrices.values()} == {1}
    assert len(matrices["fc_in"]["singular_values"]) == min(matrices["fc_in"]["rows"], matrices["fc_in"]["cols"])
    assert document["modules"] == {
        "mlp": {"1": max(matrix["condition_number"] for matrix in matrices.values())},
        "fc_in": {"1": matrices["fc_in"]["condition_number"]},
    }


def test_an_infinite_condition_number_is_null_in_the_document() -> None:
    spectra = (make_spectrum(2.0, 0.0), make_spectrum(2.0, 1.0, layer=1))
    document = CheckpointSpectrum(model="m", card=CARD, modules=("q",), spectra=spectra).document()
    assert document["modules"] == {"q": {"0": None, "1": 2.0}}
    assert json.loads(json.dumps(document, allow_nan=False)) == json.loads(json.dumps(document))


def test_out_keeps_the_singular_values_as_a_study_does(tiny_gptj: Path, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    for layers in ("0", "0,1"):  # the second replaces the first
        document = json.loads(ask(str(tiny_gptj), "--out", str(path), "--layers", layers, "--json"))
    rows = pq.read_table(path).to_pylist()
    assert [row["condition_number"] for row in rows] == [each["condition_number"] for each in document["matrices"]]
    assert {row["model_fingerprint"] for row in rows} == {document["model_fingerprint"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--modules", "atn"], "no module 'atn'; known: all, attn"),
        (["--modules", "gate"], "module 'gate' has no matrix in a gptj model"),
        (["--layers", "first"], "--layers is 'first'; expected 'all' or whole numbers"),
        (["--layers", "7"], "layer 7 does not exist: the model has 2 layers"),
        (["--report-to", "/"], "/ is a folder; expected the path of a file for the report"),
    ],
)
def test_bad_input_exits_with_2_and_a_message(tiny_gptj: Path, cache: Path, arguments: list[str], words: str) -> None:
    result = runner.invoke(app, ["spectrum", str(tiny_gptj), *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_the_document_tells_what_singular_values_say(tiny_gptj: Path, cache: Path) -> None:
    (matrix,) = json.loads(ask(str(tiny_gptj), "--json", "--modules", "q", "--layers", "0"))["matrices"]
    values = matrix["singular_values"]
    assert matrix["condition_number_float64"] == pytest.approx(values[0] / values[-1], rel=1e-2)
    assert matrix["entry_edge"] == pytest.approx(2 * matrix["entry_std"] * 32**0.5)
    assert matrix["above_entry_edge"] == sum(value > matrix["entry_edge"] for value in values)
    assert 1 <= matrix["stable_rank"] <= matrix["effective_rank"] <= 32


def test_the_table_alone_needs_no_float64(tiny_gptj: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_spectrum, "compute_exact_values", None)
    assert "attn" in ask(str(tiny_gptj))


def test_a_report_is_a_page_named_after_the_model(
    tiny_gptj: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ask(str(tiny_gptj), "--report", "--layers", "0")
    page = (tmp_path / f"{tiny_gptj.name}-spectrum.html").read_text(encoding="utf-8")
    assert "The largest condition number is" in page
    ask(str(tiny_gptj), "--report-to", "other.html", "--layers", "0")
    assert (tmp_path / "other.html").is_file()


def test_what_was_measured_can_be_put_into_a_studys_folder(tiny_gptj: Path, cache: Path, finished_study: Path) -> None:
    ask(str(tiny_gptj), "--out", str(finished_study / "spectrum.parquet"))
    try:
        spectra = read_frames([finished_study]).spectra
    finally:
        (finished_study / "spectrum.parquet").unlink()
    assert spectra is not None
    assert set(spectra["layer"]) == {0, 1}
