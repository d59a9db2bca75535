"""Damaged and foreign files in a study's folder: each is named, with the mend, by every command that reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.folder.open_study import read_settings
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.conftest import tiny_study
from tests.orchestrator.folder.damage import OF_A_PART, OF_ANY_FILE, Damage, change_rows, put
from tests.orchestrator.stored import all_rows, latest_rows

READ = ("status", "best", "results", "report", "list")
STATUS = ("status", "list")
OF_THE_STUDY = {**OF_ANY_FILE, "another study": put(b"nmae: a\n"), "one value": put(b"name")}
OF_THE_SUBJECT = {**OF_ANY_FILE, "no keys": put(b"{}"), "other keys": put(b'{"card": 3}')}
OF_THE_END = {**OF_ANY_FILE, "other keys": put(b'{"stopped": 3}'), "another type": put(b'{"stopped_by": 3}')}
# The commands that refuse a damaged file; a run writes some anew.
REFUSED = {
    ("study.yaml", name, damage): (*READ, "run") for name, damage in OF_THE_STUDY.items()
} | {
    ("identity.json", name, damage): (*READ, "run") if name in {"folder", "dead link"} else READ
    for name, damage in OF_THE_SUBJECT.items()
} | {
    ("end.json", name, damage): (*STATUS, "run") if name in {"folder", "dead link"} else STATUS
    for name, damage in OF_THE_END.items()
} | {
    ("spectrum.parquet", name, damage): ("status", "best", "run") for name, damage in OF_ANY_FILE.items()
} | {
    ("log.txt", name, OF_ANY_FILE[name]): (*STATUS, "run") for name in ("folder", "dead link")
} | {
    ("trials", name, OF_ANY_FILE[name]): (*READ, "run") for name in ("empty", "dead link")
} | {
    ("PART", name, damage): ("results", "run") for name, damage in OF_ANY_FILE.items()
} | {
    (name, "folder", OF_ANY_FILE["folder"]): ("run",)
    for name in ("status.json", "report.html", ".lock", ".holder.json")
} | {
    ("logs", "empty", OF_ANY_FILE["empty"]): ("run",),
}  # fmt: skip


@pytest.fixture(scope="session")
def measured_study(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study whose layer is chosen by condition numbers; for reading."""
    place = tmp_path_factory.mktemp("measured")
    content = tiny_study(tiny_gptj, space={"layers": {"top_condition": 1}}, task={"test_size": None})
    run_study(check_study(content), place / "s", place / "cache", Console(quiet=True))
    return place / "s"


@pytest.fixture
def folder(measured_study: Path, tmp_path: Path, cache: Path) -> Path:
    """A copy of it, alone in its folder."""
    shutil.copytree(measured_study.parent / "cache", cache)
    return Path(shutil.copytree(measured_study, tmp_path / "studies" / "s"))


def first_part(folder: Path) -> Path:
    return min((folder / "trials").glob("*.parquet"))


def ask(command: str, folder: Path) -> tuple[int, str]:
    """Exit code of a command, and what it says on standard error but for what it waits for."""
    arguments = {
        "run": ["--quiet", "run", str(study_file(folder)), "--dir", str(folder)],
        "list": ["list", str(folder.parent)],
    }
    result = CliRunner().invoke(app, arguments.get(command, [command, str(folder)]))
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.stderr


def study_file(folder: Path) -> Path:
    """The user's own study file, beside the folder of studies."""
    path = folder.parent.parent / "mine.yaml"
    if not path.exists():
        path.write_text(yaml.safe_dump(read_settings(StudyFolder(folder))))
    return path


def assert_refused(folder: Path, path: Path, commands: tuple[str, ...], words: str = "") -> None:
    """Each command says in one sentence which file it is, what is wrong and the mend, and exits with 2."""
    for command in commands:
        code, said = ask(command, folder)
        assert code == 2, (command, said)
        assert str(path) in said.replace("\n", ""), (command, said)
        assert words in said
        assert any(mend in said for mend in ("ove it away", "un the study again", "Upgrade it", "a folder"))
        assert said.count("error: ") <= 1
        assert len(said) < 800


@pytest.mark.parametrize(("name", "kind", "damage"), REFUSED, ids=lambda each: each if isinstance(each, str) else "")
def test_a_damaged_file_is_refused_by_all_that_need_it(folder: Path, name: str, kind: str, damage: Damage) -> None:
    study_file(folder)
    path = first_part(folder) if name == "PART" else folder / name
    damage(path)
    assert_refused(folder, path, REFUSED[name, kind, damage])


@pytest.mark.parametrize("kind", OF_A_PART)
def test_a_part_with_rows_that_cannot_be_is_refused(folder: Path, kind: str) -> None:
    study_file(folder)
    damage, words = OF_A_PART[kind]
    damage(first_part(folder))
    assert_refused(folder, first_part(folder), ("results",), words)


def test_rows_of_another_model_are_refused_by_every_command_with_both_fingerprints(folder: Path) -> None:
    study_file(folder)
    ours = all_rows(folder)[0].model_fingerprint
    OF_A_PART["another model"][0](first_part(folder))
    assert_refused(folder, first_part(folder), READ, f"model_fingerprint 'feed' there, '{ours}' in this study")


def test_a_foreign_table_beside_the_parts_is_refused(folder: Path) -> None:
    study_file(folder)
    damage, words = OF_A_PART["other columns"]
    damage(folder / "trials" / "part-x.parquet")
    assert_refused(folder, folder / "trials" / "part-x.parquet", (*READ, "run"), words)


@pytest.mark.parametrize(("name", "kind"), [("identity.json", "torn"), ("end.json", "noise"), ("status.json", "torn")])
def test_what_a_run_writes_anew_it_mends(folder: Path, name: str, kind: str) -> None:
    study_file(folder)
    rows = all_rows(folder)
    OF_ANY_FILE[kind](folder / name)
    assert ask("run", folder)[0] == 0
    assert [ask(command, folder)[0] for command in READ] == [0] * len(READ)
    assert list(all_rows(folder)) == list(rows)


def test_a_copy_of_a_part_counts_once(folder: Path) -> None:
    rows = list(all_rows(folder))
    shutil.copy(first_part(folder), folder / "trials" / "part-copy.parquet")
    assert list(all_rows(folder)) == rows


def test_of_two_complete_rows_of_a_trial_the_one_that_finished_first_counts(folder: Path) -> None:
    before = latest_rows(folder)
    shutil.copy(first_part(folder), folder / "trials" / "part-other.parquet")
    later = max(row.finished_at for row in before.values()).replace(year=2100)
    change_rows(accuracy=1.0, finished_at=later)(folder / "trials" / "part-other.parquet")
    assert dict(latest_rows(folder)) == dict(before)


def test_a_log_that_is_torn_within_a_character_is_shown(folder: Path) -> None:
    (folder / "log.txt").write_bytes(b"2026-01-01 a warning\n\xe2\x96")
    assert "a warning" in CliRunner().invoke(app, ["status", str(folder)]).stdout
