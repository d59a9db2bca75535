"""Frames of real small studies: what follows from the rows alone is what the study itself says."""

import re
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas
import pytest
from rich.console import Console

import clipsweep
from clipsweep.analysis.spectra.spectrum_file import SpectrumFile
from clipsweep.analysis.winners.points_of_rows import points_of_rows
from clipsweep.analysis.winners.standings import Standings
from clipsweep.orchestrator.frames import read_frames
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from tests.conftest import tiny_study
from tests.orchestrator.stored import take_snapshot
from tests.trials.clips.test_spectrum import make_spectrum

OLDER = Path(__file__).parent.parent / "fixtures" / "schema-5"
SPACE = {"modules": ["mlp", "attn"], "clip_rates": [0.9, 0, 0.5]}
STUDIES: dict[str, dict[str, Any]] = {
    "grid": {"space": {"shots": [2, 0], "demo_seeds": [3, 1], "layers": [1]}},
    "ranges": {"space": {"layers": [1, [0, 1]]}, "search": {"winner": "one_standard_error"}},
    "race": {"search": {"race": "halving"}, "space": {"modules": ["mlp"]}},
    "raced search": {
        "search": {"driver": "bayes", "n_trials": 4, "sampler": "random", "race": "halving"},
        "space": {"clip_rates": {"low": 0.1, "high": 0.9}, "clips": {"max": 2}, "demo_seeds": [0, 1]},
    },
    "composition": {"search": {"driver": "compose"}, "space": {"layers": [1]}},
}


@pytest.fixture(scope="module", params=STUDIES)
def folder(request: pytest.FixtureRequest, tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that has run to its end; for reading."""
    place = tmp_path_factory.mktemp("study")
    sections = STUDIES[request.param]
    content = tiny_study(
        tiny_gptj,
        task={"validation_size": 100 if "race" in sections.get("search", {}) else 20, "test_size": 10},
        space=SPACE | sections.get("space", {}),
        search=sections.get("search", {}),
    )
    run_study(check_study(content), place / "s", place / "cache", Console(quiet=True))
    return place / "s"


def winners(standings: Standings) -> dict[Any, tuple[str, ...]]:
    """The trials of the winner overall, and of that of each shots and module."""
    assert standings.winner is not None
    found: dict[Any, tuple[str, ...]] = {key: each.point.trial_ids for key, each in standings.winners.items()}
    return found | {"overall": standings.winner.point.trial_ids}


@pytest.mark.slow
def test_rows_alone_have_the_winners_of_the_study(folder: Path) -> None:
    snapshot = take_snapshot(folder)
    alone = Standings(points_of_rows(snapshot.rows, snapshot.rules), snapshot.rows)
    assert winners(alone) == winners(snapshot.standings)


@pytest.mark.slow
def test_points_of_a_frame_score_and_gain_what_those_of_the_study_do(folder: Path) -> None:
    numbers = ["n_seeds", "n_examples", "score", "spread", "baseline", "gain", "gain_se", "gained", "lost"]
    more = ["state", "parameters_kept", "seconds", "test_score", "test_gain", "test_low", "test_p_value"]
    of_study = clipsweep.points(folder).drop_duplicates("trial_ids").set_index("trial_ids")
    of_frame = clipsweep.points(clipsweep.load(folder)).set_index("trial_ids")
    common = of_frame.index.intersection(of_study.index)
    assert len(common) == len(of_study)
    pandas.testing.assert_frame_equal(
        of_frame.loc[common, numbers + more], of_study.loc[common, numbers + more], check_like=True
    )
    assert list(of_frame.index[of_frame.is_winner]) == list(of_study.index[of_study.is_winner])


@pytest.mark.slow
def test_points_of_a_study_score_and_gain_what_its_document_says(folder: Path) -> None:
    points, best = clipsweep.points(folder), clipsweep.open_study(folder).best()
    (winner,) = points[points.is_winner].to_dict("records")
    assert best is not None
    assert winner["score"] == best["score"]
    assert winner["baseline"] == best["baseline_score"]
    assert (winner["test_gain"], winner["test_low"], winner["test_high"], winner["test_p_value"]) == tuple(
        best["gain"][key] for key in ("estimate", "low", "high", "p_value")
    )


def test_a_trials_folder_is_its_study(finished_study: Path) -> None:
    frame = clipsweep.load(finished_study / "trials")
    pandas.testing.assert_frame_equal(frame, clipsweep.load(finished_study))
    assert len(frame) == len(take_snapshot(finished_study).rows)


def test_outcomes_and_margins_unpack_to_what_rows_hold(finished_study: Path) -> None:
    frame = clipsweep.load(finished_study)
    rows = [row for row in clipsweep.open_study(finished_study).stored_rows() if row.split == "validation"]
    validation = frame[frame.split == "validation"]
    np.testing.assert_array_equal(clipsweep.outcomes(validation), [row.outcomes for row in rows])
    np.testing.assert_array_equal(clipsweep.margins(validation), [row.margins for row in rows])
    np.testing.assert_allclose(clipsweep.outcomes(validation).mean(axis=1), validation.accuracy)


def test_points_follow_from_the_files_as_pandas_reads_them(finished_study: Path) -> None:
    points = clipsweep.points(pandas.read_parquet(finished_study / "trials"))
    expected = clipsweep.points(clipsweep.load(finished_study))
    assert set(points.trial_ids) == set(expected.trial_ids)
    assert points.set_index("trial_ids").gain.to_dict() == expected.set_index("trial_ids").gain.to_dict()


def test_the_metric_that_is_asked_for_is_what_points_score(finished_study: Path) -> None:
    points = clipsweep.points(finished_study, metric="macro_f1")
    rows = take_snapshot(finished_study).rows
    assert points.attrs["metric"] == "macro_f1"
    assert [rows[ids[0]].macro_f1 for ids in points.trial_ids] == list(points.score)


def test_an_unknown_metric_is_refused(finished_study: Path) -> None:
    with pytest.raises(StudyError, match="no metric 'f1'; known: accuracy, gold_logprob, macro_f1"):
        clipsweep.points(finished_study, metric="f1")


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        clipsweep.load(tmp_path)


def test_no_folder_is_refused() -> None:
    with pytest.raises(StudyError, match="no folder is given"):
        clipsweep.load()


def test_the_same_study_twice_is_refused(finished_study: Path) -> None:
    with pytest.raises(StudyError, match="same trials of studies that are both named 'tiny'"):
        clipsweep.load(finished_study, finished_study)


def test_studies_of_two_names_lie_in_one_frame(finished_study: Path) -> None:
    frame = clipsweep.load(finished_study, OLDER)
    points = clipsweep.points(frame)
    assert len(frame) == len(clipsweep.load(finished_study)) + len(clipsweep.load(OLDER))
    assert points.is_winner.sum() == 2
    assert set(points.study) == set(frame.study)


def test_a_frame_that_lacks_columns_is_refused(finished_study: Path) -> None:
    with pytest.raises(StudyError, match="has no column outcomes; expected one of trials, as clipsweep.load gives it"):
        clipsweep.points(clipsweep.load(finished_study).drop(columns="outcomes"))


def test_a_frame_with_values_of_another_kind_is_refused(finished_study: Path) -> None:
    with pytest.raises(StudyError, match="holds a value that is none of its column"):
        clipsweep.points(clipsweep.load(finished_study).assign(outcomes="0101"))


@pytest.mark.slow
def test_nothing_but_rows_tells_what_the_whole_folder_does(folder: Path, tmp_path: Path) -> None:
    copytree(folder / "trials", tmp_path / "s" / "trials")
    whole, alone = clipsweep.open_study(folder), clipsweep.open_study(tmp_path / "s")
    best = whole.best()
    assert best is not None
    assert alone.best() == best | {"apply": alone.apply_command()}  # which names the folder
    assert (alone.study, alone.metric, alone.describe()) == (whole.study, whole.metric, whole.describe())
    counted = ("done", "total", "partial", "pruned", "failed")
    assert [alone.status()[key] for key in counted] == [whole.status()[key] for key in counted]
    pandas.testing.assert_frame_equal(clipsweep.points(tmp_path / "s"), clipsweep.points(folder))


@pytest.mark.slow
def test_nothing_but_rows_makes_the_same_report(finished_study: Path, tmp_path: Path) -> None:
    copytree(finished_study / "trials", tmp_path / "s" / "trials")
    pages = [
        clipsweep.open_study(place).report(tmp_path / "page.html").read_text(encoding="utf-8")
        for place in (finished_study, tmp_path / "s")
    ]
    whole, alone = (re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", page) for page in pages)  # names that plotly draws
    assert alone == whole.replace(str(finished_study), str(tmp_path / "s"))


def test_rows_alone_of_an_older_version_can_be_loaded_and_say_what_else_is_missing(tmp_path: Path) -> None:
    copytree(OLDER / "trials", tmp_path / "s" / "trials")
    assert len(clipsweep.load(tmp_path / "s")) == len(clipsweep.load(OLDER))
    with pytest.raises(StudyError, match="s holds rows, but no study.yaml and no identity.json.*Bring them back"):
        clipsweep.open_study(tmp_path / "s")


def test_singular_values_in_a_studys_folder_are_in_its_frames_unless_they_are_of_another_model(
    finished_study: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "s"
    copytree(finished_study, copy)
    assert read_frames([copy]).spectra is None
    row = next(iter(take_snapshot(copy).rows.values()))
    SpectrumFile(copy / "spectrum.parquet", row.model_fingerprint, row.dtype).replace([make_spectrum(2.0, 1.0)])
    for frames in (read_frames([copy]), read_frames([copy / "trials"])):
        assert frames.spectra is not None
        assert frames.spectra["name"].tolist() == ["layer 0 q"]
    SpectrumFile(copy / "spectrum.parquet", "another", row.dtype).replace([make_spectrum(2.0, 1.0)])
    assert read_frames([copy]).spectra is None
