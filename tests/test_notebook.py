"""The notebook of the documentation runs, and is kept without heavy outputs."""

from pathlib import Path

import nbformat
import pytest

from tests.notebook import NOTEBOOK, run_notebook


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_is_kept_of_it(tmp_path: Path) -> None:
    kept, run = nbformat.read(NOTEBOOK, as_version=4), run_notebook(tmp_path)
    assert (tmp_path / "studies" / "notebook" / "report.html").is_file()
    for before, after in zip(kept.cells, run.cells, strict=True):
        shown = [output.get("name", "data") for output in before.get("outputs", [])]
        assert shown == [
            output.get("name", "data") for output in after.get("outputs", []) if output.get("name") != "stderr"
        ]


def test_the_notebook_is_light() -> None:
    assert NOTEBOOK.stat().st_size < 100_000
