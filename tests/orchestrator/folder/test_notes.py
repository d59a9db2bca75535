from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.folder.notes import COMPRESSED, STUDY, SUBJECT, notes_of, study_in, subject_in
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StoreError

HERE = Path("trials")


@pytest.fixture(scope="module")
def notes(finished_study: Path) -> dict[str, str]:
    opened = reopen(finished_study)
    return notes_of(opened.study, opened.subject)


def test_a_study_and_what_its_names_stand_for_come_back(finished_study: Path, notes: dict[str, str]) -> None:
    opened = reopen(finished_study)
    assert (study_in(notes, HERE), subject_in(notes, HERE)) == (opened.study, opened.subject)


def test_a_long_note_is_compressed(finished_study: Path, make_study: Callable[..., dict[str, Any]]) -> None:
    study = check_study(make_study(space={"demo_seeds": list(range(2000))}))
    long = notes_of(study, reopen(finished_study).subject)
    assert long[STUDY].startswith(COMPRESSED)
    assert len(long[STUDY]) < 8000
    assert study_in(long, HERE) == study


def test_a_note_says_nothing_of_a_database(finished_study: Path, make_study: Callable[..., dict[str, Any]]) -> None:
    search = {"driver": "bayes", "n_trials": 1, "storage": "postgresql://user:secret@inner-host/n"}
    study = check_study(make_study(search=search))
    noted = notes_of(study, reopen(finished_study).subject)
    assert "secret" not in str(noted)
    assert "inner-host" not in str(noted)
    told = study_in(noted, HERE)
    assert told is not None
    assert told.search == study.search.model_copy(update={"storage": None})


def test_files_that_say_nothing_tell_of_no_study() -> None:
    assert (study_in({}, HERE), subject_in({}, HERE)) == (None, None)


@pytest.mark.parametrize("damaged", ["{", "[1]", "zlib:####", "zlib:eJwDAAAAAAE="])
def test_a_damaged_note_is_named(damaged: str) -> None:
    for key, read in ((STUDY, study_in), (SUBJECT, subject_in)):
        with pytest.raises(StoreError, match=f"note {key} of a file in trials is damaged"):
            read({key: damaged}, HERE)


def test_notes_of_a_newer_clipsweep_are_refused(notes: dict[str, str]) -> None:
    newer = {STUDY: notes[STUDY].replace('"name"', '"new_name"', 1)}
    with pytest.raises(StoreError, match="says of its study is none of this clipsweep"):
        study_in(newer, HERE)
    with pytest.raises(StoreError, match="trials is damaged: a key is missing or wrong"):
        subject_in({SUBJECT: "{}"}, HERE)
