from pathlib import Path

import pytest

from clipsweep.analysis.drawing import draw
from clipsweep.orchestrator.comparison.file import check_file
from clipsweep.trials.base.errors import PlaceError, SpecError


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"ends in '.gif'; expected a file that ends in .html, .svg, .pdf or .png"):
        check_file(tmp_path / "a.gif")
    check_file(tmp_path / "a.SVG")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.html").mkdir()
    with pytest.raises(PlaceError, match="is a folder"):
        check_file(tmp_path / "a.html")


def test_a_page_needs_no_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "find_spec", lambda _name: None)
    check_file(tmp_path / "a.html")
    with pytest.raises(SpecError, match="which is not installed"):
        check_file(tmp_path / "a.pdf")
