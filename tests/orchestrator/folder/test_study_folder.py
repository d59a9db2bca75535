import ast
from pathlib import Path

import pytest

from clipsweep.orchestrator.folder.study_folder import StudyFolder

ROOT = Path(__file__).parents[3]
FOLDER = StudyFolder(Path("s"))
FILES = [FOLDER.study, FOLDER.subject, FOLDER.spectrum, FOLDER.journal, FOLDER.report, FOLDER.status, FOLDER.end,
         FOLDER.lock, FOLDER.holder, FOLDER.claims]  # fmt: skip


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_no_other_module_knows_the_name_of_a_file_in_it(name: str) -> None:
    knowing = [path.name for path in (ROOT / "orchestrator").rglob("*.py") if name in constants_of(path)]
    assert knowing == ["study_folder.py"]


def constants_of(path: Path) -> set[object]:
    """Texts that stand alone in a module, not those within messages."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_traceback_of_an_attempt_is_named_by_trial_and_attempt() -> None:
    assert FOLDER.traceback("abc", 2) == Path("s/logs/abc-2.txt")


def test_a_folder_that_holds_nothing_but_its_lock_is_known(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.lock.touch()
    folder.holder.touch()
    folder.claims.mkdir()
    assert folder.leftovers_of_lock()
    folder.study.touch()
    assert not folder.leftovers_of_lock()
