import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from clipsweep.analysis.drawing.chart import Axis
from clipsweep.analysis.drawing.style import COLORS, PLAIN
from clipsweep.analysis.drawing.with_matplotlib import PAGE_IN, draw_matplotlib
from tests.analysis.drawing.charts import CELLS, HEAT, LINE, NUMBERS, WORDS, chart, panel


def test_a_panel_has_its_lines_level_star_and_labels() -> None:
    axes = draw_matplotlib(chart()).axes[0]
    drawn = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    assert [0.5, 0.6, 0.7] in drawn
    assert [0.5, 0.6, 0.701] in drawn
    assert [text.get_text() for text in axes.texts] == ["layer 3", "layer 4"]
    assert to_hex(axes.collections[-1].get_facecolor()[0]) == COLORS[PLAIN]["best"]


def test_labels_at_the_ends_of_lines_do_not_overlap_and_nothing_is_cut() -> None:
    figure = draw_matplotlib(chart(panel(), panel()))
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for axes in figure.axes[:2] for text in axes.texts]
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_notebook_shows_the_figure_as_a_picture() -> None:
    assert draw_matplotlib(chart())._repr_png_().startswith(b"\x89PNG")


def test_the_legend_has_each_name_once() -> None:
    figure = draw_matplotlib(chart(panel(), panel()))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["within noise", "baseline", "best"]


def test_places_on_the_colour_bar_have_one_beside_the_panels() -> None:
    assert draw_matplotlib(chart()).axes[1].get_ylabel() == "layer"
    assert draw_matplotlib(chart(CELLS)).axes[1].get_ylabel() == "gain"


def test_muted_cells_are_grey_and_cells_have_their_words() -> None:
    axes = draw_matplotlib(chart(CELLS)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["0", "+10", "-20", "+1", "+2"]
    assert axes.collections[1].get_array().count() == 2  # type: ignore[union-attr]


def test_text_stays_text_in_svg_and_pdf(tmp_path: Path) -> None:
    for name in ("chart.svg", "again.svg", "chart.pdf"):
        draw_matplotlib(chart()).savefig(tmp_path / name)
    svg = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert "<text" in svg
    assert "What &lt;is&gt; shown." in svg
    assert svg == (tmp_path / "again.svg").read_text(encoding="utf-8")  # the same each time
    assert b"/Type3" not in (tmp_path / "chart.pdf").read_bytes()


def test_a_dollar_sign_begins_no_formula(tmp_path: Path) -> None:
    line = replace(LINE, end_label="$a$")
    draw_matplotlib(chart(panel(line, title="$\\frac$"))).savefig(tmp_path / "chart.svg")
    assert ">$\\frac$<" in (tmp_path / "chart.svg").read_text(encoding="utf-8")


def test_drawing_touches_no_state_of_pyplot() -> None:
    before = dict(matplotlib.rcParams)
    draw_matplotlib(chart())
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("panels", [1, 3])
def test_the_figure_is_as_wide_as_a_column_or_a_page_of_a_paper(panels: int) -> None:
    width = draw_matplotlib(chart(*[panel()] * panels)).get_figwidth()
    assert width == (3.4 if panels == 1 else PAGE_IN)


def test_a_long_title_is_wrapped_to_the_width_of_its_panel() -> None:
    figure = draw_matplotlib(chart(panel(title="a study with a long name " * 4), panel()))
    first, other = (axes.get_title(loc="left") for axes in figure.axes[:2])
    assert max(map(len, first.splitlines())) < 60 < len(first)
    assert other == "mlp"


def test_one_long_word_below_narrow_cells_does_not_run_into_its_neighbour() -> None:
    words = ("untouched", *(f"#{number}" for number in range(1, 20)))
    wide = replace(panel(), x=Axis(title="", kind="category", categories=words), marks=[])
    figure = draw_matplotlib(chart(wide), width_in=PAGE_IN)
    figure.draw_without_rendering()
    first, second = figure.axes[0].get_xticklabels()[:2]
    assert first.get_rotation() == second.get_rotation() == 45


def test_numbers_have_both_bars_a_line_at_zero_and_their_words_inside() -> None:
    figure = draw_matplotlib(chart(NUMBERS))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in axes.lines]
    assert all(each in drawn for each in ([0.1, 0.75], [0.25, 0.5], [-0.5, 0.0], [0.5, -0.2], [0, 0]))
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == list(WORDS)
    assert all(label.get_window_extent().x0 > axes.bbox.x0 for label in labels)


def test_a_line_through_cells_is_drawn_between_them() -> None:
    axes = draw_matplotlib(chart(replace(CELLS, marks=(replace(HEAT, edge=[0, 1]),)))).axes[0]
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[-0.5, -0.5, 0.5, 0.5]]
