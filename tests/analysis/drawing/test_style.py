import pytest

from clipsweep.analysis.drawing.chart import ColorBar
from clipsweep.analysis.drawing.style import COLORS, DARK, PLAIN, SCALE, SERIES, color_of, mix, place_color
from tests.analysis.drawing.charts import chart

BAR = ColorBar(title="layer", low=0, high=79)


def luminance(color: str) -> float:
    """Relative luminance of a colour as WCAG 2 defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [PLAIN, DARK])
def test_text_lines_and_marks_stand_out_from_the_paper(theme: str) -> None:
    paper = COLORS[theme]["paper"]
    assert contrast(COLORS[theme]["ink"], paper) > 7
    for role in ("baseline", "best", "front", "complete", "stopped", "gained", "lost", "after", "published"):
        assert contrast(COLORS[theme][role], paper) > 3, role
    assert all(contrast(color, paper) > 3 for color in SERIES[theme])


@pytest.mark.parametrize("theme", [PLAIN, DARK])
def test_depth_is_told_by_lightness_alone_too(theme: str) -> None:
    lightness = [luminance(place_color(place, BAR, theme)) for place in range(80)]
    assert lightness == sorted(lightness)
    assert all(contrast(color, COLORS[theme]["paper"]) > 1.7 for color in SCALE[theme])


def test_both_themes_have_the_same_roles() -> None:
    assert COLORS[PLAIN].keys() == COLORS[DARK].keys()


def test_a_color_is_a_role_a_place_or_the_next_free_one() -> None:
    assert color_of("best", chart(), 0) == COLORS[PLAIN]["best"]
    assert color_of(0.0, chart(), 0, DARK) == SCALE[DARK][0]
    assert color_of(None, chart(), 9) == SERIES[PLAIN][1]


def test_places_beyond_the_bar_have_the_color_of_its_end() -> None:
    assert place_color(90, BAR) == SCALE[PLAIN][-1]
    assert place_color(5, ColorBar(title="layer", low=5, high=5)) == SCALE[PLAIN][4]
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
