import json
from pathlib import Path

import pytest

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import json_of, runner


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_a_file_that_run_takes_as_it_is(here: Path) -> None:
    assert runner.invoke(app, ["init"]).stdout == "study.yaml\n"
    document = json_of("run", "study.yaml", "--dry-run")
    assert document["trials_to_run"] == 13


def test_init_never_writes_over_a_file(here: Path) -> None:
    assert runner.invoke(app, ["init"]).exit_code == 0
    again = runner.invoke(app, ["init"])
    assert (again.exit_code, "study.yaml is there already" in again.stderr) == (2, True)
    assert runner.invoke(app, ["init", "--force"]).exit_code == 0


def test_schema_prints_one_json_document() -> None:
    assert json.loads(runner.invoke(app, ["schema"]).stdout)["title"] == "clipsweep study"
