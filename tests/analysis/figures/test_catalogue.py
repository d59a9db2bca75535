import pytest

from clipsweep.analysis.figures.catalogue import FIGURES, make_figure, make_figures
from clipsweep.analysis.frames.frames import Frames
from clipsweep.trials.base.errors import StudyError
from tests.analysis.figures.frames import points_frame, trials_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered

FRAMES = Frames(
    make_trials=lambda: trials_frame(answered().values()), make_points=lambda: points_frame(POINTS, answered())
)


def test_every_figure_is_made_of_frames_or_says_that_it_cannot() -> None:
    made = dict(make_figures(FRAMES))
    assert {"figure1", "atlas", "search"} <= made.keys() <= FIGURES.keys()
    assert all(chart.name == name and chart.title and chart.caption for name, chart in made.items())


def test_a_figure_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="no figure 'figur1'.*Did you mean 'figure1'"):
        make_figure("figur1", FRAMES)


def test_of_no_rows_nothing_can_be_drawn() -> None:
    empty = Frames.of_trials(trials_frame([]))
    with pytest.raises(StudyError, match="figure1 needs .*No figure can be drawn of it"):
        make_figure("figure1", empty)


def test_what_a_figure_lacks_is_said_and_what_can_be_drawn() -> None:
    with pytest.raises(
        StudyError, match="figure2 needs .* or more; this study lacks that. These can be drawn: figure1"
    ):
        make_figure("figure2", FRAMES)
