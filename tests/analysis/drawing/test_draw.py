from pathlib import Path

import pytest

from clipsweep.analysis.drawing import draw
from clipsweep.analysis.drawing.chart import Axis, Chart, Line, Panel
from clipsweep.trials.base.errors import SpecError, StudyError

PANEL = Panel(title="p", x=Axis(title="x"), y=Axis(title="y"), marks=[Line(x=[0, 1], y=[0, 1], name="a")])
CHART = Chart(name="c", title="t", caption="What is shown.", panels=[PANEL])


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(StudyError, match="no engine 'plotyl'.*Did you mean 'plotly'"):
        draw.check_engine("plotyl")


def test_plotly_draws_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "find_spec", lambda _name: None)
    draw.check_engine("plotly")
    with pytest.raises(SpecError, match="which is not installed"):
        draw.check_engine("matplotlib")


def test_a_chart_is_written_in_the_format_that_is_named(tmp_path: Path) -> None:
    draw.write_chart(CHART, tmp_path / "c", "pdf")
    assert (tmp_path / "c").read_bytes().startswith(b"%PDF")
