from pathlib import Path

import matplotlib.figure
import plotly.graph_objects as go
import pytest

import clipsweep
from clipsweep.analysis.drawing import draw
from clipsweep.analysis.figures.catalogue import FIGURES
from clipsweep.orchestrator.figures import frames_from, write_figures
from clipsweep.trials.base.errors import PlaceError, SpecError, StudyError


def test_a_figure_is_one_of_matplotlib_or_of_plotly_from_the_same_numbers(finished_study: Path) -> None:
    printed = clipsweep.figure("search", finished_study)
    shown = clipsweep.figure("search", finished_study, engine="plotly")
    assert isinstance(printed, matplotlib.figure.Figure)
    assert isinstance(shown, go.Figure)
    assert list(printed.axes[0].lines[0].get_ydata()) == list(shown.data[0].y)  # type: ignore[arg-type]


def test_a_figure_of_a_frame_has_the_trials_of_that_frame_alone(finished_study: Path) -> None:
    frame = clipsweep.load(finished_study)
    untouched = frame[frame["clips"].map(len) == 0]
    with pytest.raises(StudyError, match="atlas needs layers"):
        clipsweep.figure("atlas", untouched)
    assert len(clipsweep.figure("atlas", frame, engine="plotly").data) >= 1


def test_what_cannot_be_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no figure 'figure9'"):
        clipsweep.figure("figure9", tmp_path)
    with pytest.raises(StudyError, match="no engine 'bokeh'; known: matplotlib, plotly"):
        clipsweep.figure("atlas", tmp_path, engine="bokeh")  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="no figure 'figure9'"):
        write_figures([tmp_path], only=["figure9"])
    with pytest.raises(StudyError, match="-o FOLDER"):
        write_figures([tmp_path, tmp_path])
    with pytest.raises(StudyError, match="holds no study"):
        write_figures([tmp_path])


def test_a_frame_of_points_is_refused(finished_study: Path) -> None:
    with pytest.raises(StudyError, match="one of points; expected one of trials"):
        clipsweep.figure("atlas", clipsweep.points(finished_study))


def test_it_is_said_how_matplotlib_is_installed(finished_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "find_spec", lambda _name: None)
    with pytest.raises(SpecError, match=r"pip install 'clipsweep\[figures\]'"):
        clipsweep.figure("atlas", finished_study)
    assert clipsweep.figure("atlas", finished_study, engine="plotly").data


def test_all_figures_are_written_with_their_captions(finished_study: Path, tmp_path: Path) -> None:
    written = write_figures([finished_study], out=tmp_path / "new" / "figures")
    assert {"atlas", "search"} <= written.keys() <= FIGURES.keys()
    files = {path.name for path in (tmp_path / "new" / "figures").iterdir()}
    assert files == {"captions.md", *(path.name for paths in written.values() for path in paths)}
    captions = (tmp_path / "new" / "figures" / "captions.md").read_text(encoding="utf-8")
    assert all(f"## {name}: " in captions for name in written)


def test_one_figure_is_written_in_the_format_that_is_asked_for(finished_study: Path, tmp_path: Path) -> None:
    written = write_figures([finished_study], only=["search"], file_format="pdf", out=tmp_path)
    assert written == {"search": [tmp_path / "search.pdf"]}
    assert (tmp_path / "search.pdf").read_bytes().startswith(b"%PDF")


def test_a_figure_drawn_again_leaves_the_captions_of_others(finished_study: Path, tmp_path: Path) -> None:
    write_figures([finished_study], only=["atlas", "search"], out=tmp_path)
    before = (tmp_path / "captions.md").read_text(encoding="utf-8")
    (tmp_path / "captions.md").write_text(before.replace("## atlas:", "## atlas: of old"), encoding="utf-8")
    write_figures([finished_study], only=["atlas"], out=tmp_path)
    assert (tmp_path / "captions.md").read_text(encoding="utf-8") == before


def test_a_folder_that_cannot_be_made_is_refused(finished_study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match="making the folder for figures"):
        write_figures([finished_study], out=tmp_path / "file" / "figures")


def test_published_numbers_come_when_they_are_asked_for_and_are_of_the_task(finished_study: Path) -> None:
    frame = clipsweep.load(finished_study)
    assert frames_from(frame).published is None
    published = frames_from(frame.assign(task="rte"), published=True).published
    assert published is not None
    assert set(published["study"]) == {"published"}
    with pytest.raises(StudyError, match="no curves of task .*; expected one of cb, copa, rte"):
        frames_from(frame, published=True)
    judged = frame.assign(task="rte")
    judged.attrs["metric"] = "gold_logprob"
    with pytest.raises(StudyError, match="published accuracies, and the study is judged by gold_logprob"):
        frames_from(judged, published=True)
