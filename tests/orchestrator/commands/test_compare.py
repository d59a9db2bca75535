from pathlib import Path

import pytest

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import json_of, runner


def test_the_document_is_that_of_python(finished_study: Path, tmp_path: Path) -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "schema-5"
    document = json_of("compare", str(finished_study), str(fixture), "--top", "1")
    assert set(document) == {"studies", "differ", "pairs"}
    assert document["differ"][0] == "model"


def test_as_many_points_are_shown_as_are_asked_for(finished_study: Path) -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "schema-5"
    told = runner.invoke(app, ["compare", str(fixture), str(finished_study), "--top", "1"])
    assert told.exit_code == 0, told.output
    assert "points    " in told.stdout


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["."], "alone was given"),
        (["nowhere", "nowhere"], "is given twice"),
        (["nowhere", "neither"], "nowhere holds no study"),
        (["nowhere", "--top", "0"], "expected a whole number of 1 or more"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_compared_is_refused(folders: list[str], words: str) -> None:
    result = runner.invoke(app, ["compare", *folders])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("name", ["compared.svg", "compared.html"])
def test_a_file_is_written_beside_the_words(finished_study: Path, tmp_path: Path, name: str) -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "schema-5"
    told = runner.invoke(app, ["compare", str(fixture), str(finished_study), "-o", str(tmp_path / name)])
    assert told.exit_code == 0, told.output
    assert "winners   " in told.stdout
    assert "Gain of the winner" in (tmp_path / name).read_text(encoding="utf-8")
