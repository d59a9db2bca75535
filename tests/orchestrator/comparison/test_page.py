from pathlib import Path

import pytest

from clipsweep.analysis.drawing import draw
from clipsweep.analysis.drawing.chart import Axis, Chart, Line, Panel
from clipsweep.orchestrator.comparison.page import check_file, write_page
from clipsweep.trials.base.errors import PlaceError, SpecError

LINE = Line(x=[0, 1], y=[0, 1], name="a")
PANELS = [Panel(title=f"<{name}>", x=Axis(title="x"), y=Axis(title="y"), marks=[LINE]) for name in "ab"]
CHART = Chart(name="c", title="A & B", caption="What <is> shown.", panels=PANELS)


def test_the_page_holds_a_figure_for_each_panel_and_the_words_escaped(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", CHART, "a <b> & c")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('role="img"') == 2
    assert 'aria-label="&lt;b&gt;"' in page
    assert "<title>A &amp; B</title>" in page
    assert '<pre tabindex="0">a &lt;b&gt; &amp; c</pre>' in page
    assert "What &lt;is&gt; shown." in page


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
