import shutil
from pathlib import Path

import pytest

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import json_of, runner


def test_figures_are_written_into_the_folder_of_the_study(finished_study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished_study, tmp_path / "study")
    document = json_of("figures", str(folder), "--only", "search", "--format", "svg")
    assert document == {"search": [str(folder / "figures" / "search.svg")]}
    assert (folder / "figures" / "search.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "atlass"), "Did you mean 'atlas'?"),
        (("--format", "gif"), "'pdf'"),
        (("--only", "joint"), "joint needs"),
    ],
)
def test_what_cannot_be_drawn_is_bad_input(finished_study: Path, options: tuple[str, ...], words: str) -> None:
    result = runner.invoke(app, ["figures", str(finished_study), *options])
    assert (result.exit_code, words in result.stderr) == (2, True)
