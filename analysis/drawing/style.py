"""Colours and marks of all figures, told apart by colour-blind readers, in grey print, and on dark screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clipsweep.analysis.drawing.chart import Chart, Color, ColorBar

PLAIN, DARK = "light", "dark"  # themes: of a page, or of paper; and of a page on which text is light

# Okabe and Ito's palette without its yellow, which is too pale on white; the dark one has each a shade lighter.
SERIES: Mapping[str, Sequence[str]] = {
    PLAIN: ("#0072b2", "#d55e00", "#007f5f", "#b3589a", "#3a9bdc", "#b27700", "#6b7280", "#7b3f00"),
    DARK: ("#58a6e0", "#ff8f4d", "#3fc79a", "#e29ac8", "#8fd0ff", "#f0b440", "#b0b7c1", "#d39a6a"),
}
SERIES_MARKS = ("dot", "square", "triangle", "diamond", "triangle-down", "cross")  # beside the colour, for grey print

# By role. Charts name these.
COLORS: Mapping[str, Mapping[str, str]] = {
    PLAIN: {
        "ink": "#1f2328",  # text
        "grid": "#e1e4e8",
        "paper": "#ffffff",  # behind everything; on screen the page's own
        "baseline": "#454c55",
        "noise": "#dfe3e8",  # the band, and cells of a heat map that differ by no more than noise
        "best": "#c1121f",
        "front": "#c1121f",
        "complete": "#0072b2",
        "stopped": "#8a929c",
        "faint": "#b9c0c9",  # what may be chance
        "gained": "#0072b2",
        "lost": "#d55e00",
        "before": "#a9b1bb",
        "after": "#0072b2",
        "published": "#7a4fb5",
    },
    DARK: {
        "ink": "#e6edf3",
        "grid": "#343b44",
        "paper": "#15181d",
        "baseline": "#c3cad3",
        "noise": "#39414b",
        "best": "#ff6b5e",
        "front": "#ff6b5e",
        "complete": "#58a6e0",
        "stopped": "#8a929c",
        "faint": "#5b6470",
        "gained": "#58a6e0",
        "lost": "#ff8f4d",
        "before": "#6b7480",
        "after": "#58a6e0",
        "published": "#c3a3f0",
    },
}

_VIRIDIS = (
    "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c",
    "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725",
)  # fmt: skip
# Places on a colour bar from its low to its high end: viridis without what is too pale on white, or too dark on black.
SCALE: Mapping[str, Sequence[str]] = {PLAIN: _VIRIDIS[:9], DARK: _VIRIDIS[3:]}
# From loss over nothing to gain; blue and orange differ for all eyes.
DIVERGING: Mapping[str, Sequence[str]] = {
    PLAIN: ("#b04a00", "#e58a3c", "#f8d9b8", "#ffffff", "#bcd9ec", "#5aa0cf", "#00598c"),
    DARK: ("#ff9a4d", "#c05f16", "#5e3a1d", "#1d2126", "#1d4058", "#2b7fb8", "#7cc4f5"),
}
# From nothing to much, of cells that do not diverge.
SHADES: Mapping[str, Sequence[str]] = {PLAIN: DIVERGING[PLAIN][3:], DARK: DIVERGING[DARK][3:]}
FAINT_FROM = 9  # with so many lines in a panel, those that have no label at their end are drawn thin and without dots


def color_of(color: Color, chart: Chart, number: int, theme: str = PLAIN) -> str:
    """The colour of a mark as ``#rrggbb``.

    Args:
        color: As the chart has it.
        chart: Whose colour bar places are on.
        number: Which free colour is next, for a mark that names none.
        theme: A key of ``COLORS``.

    Raises:
        KeyError: No such role.
    """
    if color is None:
        return SERIES[theme][number % len(SERIES[theme])]
    if isinstance(color, str):
        return COLORS[theme][color]
    assert chart.color_bar is not None, f"chart {chart.name} has no colour bar for the place {color}"
    return place_color(color, chart.color_bar, theme)


def place_color(place: float, bar: ColorBar, theme: str = PLAIN) -> str:
    """The colour at a place of a colour bar; of a bar without length that of its middle."""
    share = (place - bar.low) / (bar.high - bar.low) if bar.high > bar.low else 0.5
    return sample(SCALE[theme], share)


def sample(stops: Sequence[str], share: float) -> str:
    """The colour at a share from 0 to 1 of the way along evenly spaced stops; beyond its ends that of the end."""
    at = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    before = min(int(at), len(stops) - 2)
    return mix(stops[before], stops[before + 1], at - before)


def mix(one: str, other: str, share: float) -> str:
    """A colour so far on the way from one to the other, from 0 to 1."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(first + share * (second - first)):02x}" for first, second in pairs)


def text_color(color: str, theme: str = PLAIN) -> str:
    """A line's colour nearer to that of text, so that small words in it can be read."""
    return mix(color, COLORS[theme]["ink"], 0.4)


def ink_on(color: str) -> str:
    """Black or white, whichever reads better on this colour."""
    red, green, blue = _channels(color)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
