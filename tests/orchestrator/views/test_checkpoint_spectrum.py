import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.views.checkpoint_spectrum import CheckpointSpectrum
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
    ],
)
def test_bad_input_exits_with_2_and_a_message(tiny_gptj: Path, cache: Path, arguments: list[str], words: str) -> None:
    result = runner.invoke(app, ["spectrum", str(tiny_gptj), *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
