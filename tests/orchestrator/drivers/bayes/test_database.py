"""Databases of a search: their passwords are in no file of the study, and in nothing that is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.drivers.bayes.database import database_url, without_password
from clipsweep.orchestrator.drivers.bayes.encoding import Parameter
from clipsweep.orchestrator.drivers.bayes.optuna_study import OptunaStudy, SamplerSettings, Storage
from clipsweep.trials.base.errors import StudyError, WriteError

MakeStudy = Callable[..., dict[str, Any]]
SECRET = "s3cret"
FAILING = (
    f"postgresql://user:{SECRET}@127.0.0.1:1/db",
    f"sqlite://user:{SECRET}@/nowhere.db",  # which sqlalchemy refuses with these very words
    f"sqlite:////nowhere/there.db?password={SECRET}",
    f"nosuch://user:{SECRET}@host/db",
)


@pytest.fixture
def run(make_study: MakeStudy, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run a small search that keeps its trials at some address: exit code, and all that was said."""

    def run_it(storage: str, *options: str) -> tuple[int, str]:
        space = {"layers": [0, 1], "clip_rates": [0.25, 0.5, 0.75]}
        search = {"driver": "bayes", "n_trials": 2, "sampler": "random", "storage": storage}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(make_study(space=space, search=search, task={"test_size": 0})))
        result = CliRunner().invoke(app, ["run", str(path), "--dir", str(tmp_path / "s"), *options])
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result.exit_code, result.output + result.stderr

    return run_it


def assert_nothing_tells(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("storage", FAILING)
def test_a_database_that_cannot_be_opened_is_refused_without_its_password(
    run: Callable[..., tuple[int, str]], storage: str, tmp_path: Path
) -> None:
    for options in ([], ["--dry-run", "--json"], ["--verbose"]):
        code, said = run(storage, *options)
        assert code == (0 if options[:1] == ["--dry-run"] else 2), said
        assert SECRET not in said
    assert "study key 'search.storage' cannot be opened" in said
    assert_nothing_tells(tmp_path / "s")


def test_a_search_in_a_database_leaves_no_password_behind(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    code, said = run(f"sqlite:///file:{tmp_path}/trials.db?uri=true&token={SECRET}", "--verbose")
    assert code == 0, said
    assert SECRET not in said
    assert "token=***" in (tmp_path / "s" / "study.yaml").read_text()
    assert_nothing_tells(tmp_path / "s")


def test_a_resume_from_the_folders_own_study_file_says_what_it_lacks(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    run(f"sqlite:///file:{tmp_path}/trials.db?uri=true&token={SECRET}")
    result = CliRunner().invoke(app, ["run", str(tmp_path / "s" / "study.yaml"), "--dir", str(tmp_path / "s")])
    assert result.exit_code == 2
    assert "with *** for its password, which no study's folder holds. Run your own study file" in result.stderr


def test_a_variable_of_the_environment_is_taken_for_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", SECRET)
    assert database_url("postgresql://u:${DATABASE_PASSWORD}@h/d") == f"postgresql://u:{SECRET}@h/d"
    monkeypatch.delenv("DATABASE_PASSWORD")
    with pytest.raises(StudyError, match="names the variable DATABASE_PASSWORD of the environment, which is not set"):
        database_url("postgresql://u:${DATABASE_PASSWORD}@h/d")


def test_a_password_that_a_library_repeats_alone_is_hidden() -> None:
    url = f"postgresql://user:{SECRET}@host/db"
    assert without_password(f"login with {SECRET} failed at {url}", url) == (
        "login with *** failed at postgresql://user:***@host/db"
    )


def test_a_database_that_breaks_while_a_study_runs_is_told_in_words(tmp_path: Path) -> None:
    storage = Storage(url=f"sqlite:///file:{tmp_path}/trials.db?uri=true&token={SECRET}")
    parameters = [Parameter(name="clip_rate", low=0.0, high=1.0)]
    study = OptunaStudy(storage, parameters, ["maximize"], SamplerSettings(name="random", seed=0), [])
    number, _ = study.ask()
    (tmp_path / "trials.db").write_bytes(b"noise" * 4000)
    with pytest.raises(WriteError, match="the database of search.storage does not answer") as raised:
        study.tell(number, [0.5])
    assert raised.value.__suppress_context__  # whose words may hold the password
