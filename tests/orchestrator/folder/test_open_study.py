import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.folder.open_study import OpenStudy, reopen, write_study
from clipsweep.trials.base.errors import StudyError
from tests.analysis.store.rows import stored_row
from tests.orchestrator.folder.made_up import open_made_up, trial_ids
from tests.trials.clips.test_spectrum import make_spectrum

MakeStudy = Callable[..., dict[str, Any]]
DEFINITION = {
    "data": {"path": "nowhere"}, "query": "{text}", "labels": [" no", " yes"], "metric": "macro_f1"
}  # fmt: skip
CHOSEN = {"modules": ["q"], "layers": {"top_condition": 2}}


@pytest.fixture
def opened(make_study: MakeStudy, tmp_path: Path) -> OpenStudy:
    """A study whose layers are not chosen yet, of a model that is made up."""
    return open_made_up(make_study(space=CHOSEN), tmp_path)


def measure(opened: OpenStudy, *values: float, first: int = 0) -> None:
    """Keep condition numbers of layers that follow each other."""
    opened.spectrum.add(make_spectrum(value, 1.0, layer=layer) for layer, value in enumerate(values, start=first))


def rows_of_all_points(opened: OpenStudy) -> dict[str, StoredRow]:
    """A row of every trial that the study plans with."""
    return {key: stored_row(key) for key in trial_ids(opened)}


def test_while_layers_are_pending_no_clip_can_win(opened: OpenStudy) -> None:
    assert opened.pending is not None
    assert [point.clips for point in opened.points(rows_of_all_points(opened))] == [()]


def test_layers_are_chosen_when_the_last_condition_number_is_there(opened: OpenStudy) -> None:
    measure(opened, 5.0, 9.0, 1.0)
    assert opened.choose_layers().pending is not None
    measure(opened, 7.0, first=3)
    chosen = opened.choose_layers()
    assert (chosen.pending, chosen.space.sites) == (None, (((1,), "q"), ((3,), "q")))
    assert chosen.choose_layers() is chosen


def test_a_study_is_the_same_when_reopened(opened: OpenStudy) -> None:
    measure(opened, 5.0, 9.0, 1.0, 7.0)
    write_study(opened)
    again = reopen(opened.folder.path)
    assert (again.study, again.subject) == (opened.study, opened.subject)
    assert again.space == opened.choose_layers().space


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ({"lm_eval": {"name": "gone", "include_path": "nowhere"}}, "accuracy"),
        ({"weighted": [{"lm_eval": "gone", "seed": 0}, {"lm_eval": "gone too", "seed": 0}]}, "accuracy"),
        ({"text": {"path": "nowhere"}}, "nll"),
        ({"name": "fever", "definition": DEFINITION}, "macro_f1"),
        ({"name": "hotpotqa", "definition": DEFINITION}, "macro_f1"),
    ],
)
def test_a_stored_study_is_read_whatever_has_become_of_its_task(
    task: dict[str, Any], metric: str, make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its YAML files and rows are gone, the harness is not installed, or a newer clipsweep has a task of its name."""
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    content = make_study(space={"layers": [0, 1], "shots": [0]})
    opened = open_made_up(content | {"task": {"seed": 0} | task if "weighted" not in task else task}, tmp_path)
    write_study(opened)
    again = reopen(tmp_path)
    assert (again.study, again.space.metric) == (opened.study, metric)


def test_points_without_a_row_are_left_out(opened: OpenStudy) -> None:
    measure(opened, 5.0, 9.0, 1.0, 7.0)
    chosen = opened.choose_layers()
    [*_, last] = rows_of_all_points(chosen)
    found = chosen.points({last: stored_row(last)})
    assert [point.trial_ids for point in found] == [(last,)]


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"holds no study; expected the folder that 'clipsweep run' named"):
        reopen(tmp_path)
