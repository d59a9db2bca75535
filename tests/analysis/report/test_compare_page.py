import re
from pathlib import Path

from clipsweep.analysis.drawing.chart import Axis, Chart, Line, Panel
from clipsweep.analysis.report.compare_page import write_comparison

LINE = Line(x=[0, 1], y=[0, 1], name="a")
PANELS = [Panel(title=f"<{name}>", x=Axis(title="x"), y=Axis(title="y"), marks=[LINE]) for name in "ab"]
CHART = Chart(name="c", title="A & B", caption="What <is> shown.", panels=PANELS)


def test_the_page_holds_the_chart_and_the_words_escaped(tmp_path: Path) -> None:
    write_comparison(tmp_path / "page.html", CHART, "a  <b> & c")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.search(r"<title>A &amp; B.*</title>", page)
    assert page.count('class="plot"') == 2
    assert "a  &lt;b&gt; &amp; c</pre>" in page
    assert "What &lt;is&gt; shown." in page
    assert len(page) < 3_000_000
