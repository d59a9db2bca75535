from pathlib import Path

import pytest
import yaml

from clipsweep.orchestrator.editing.draft import DRAFT, draft, write_draft
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import PlaceError, StudyError, TaskError


def test_a_draft_is_a_study_of_the_embedded_model(tmp_path: Path) -> None:
    write_draft(tmp_path / "s.yaml", "embedded", "episodes", force=False)
    [study] = read_studies(tmp_path / "s.yaml")
    assert (study.name, study.model.path, study.task.name) == ("embedded-episodes", "embedded", "episodes")


@pytest.mark.parametrize("model", ["EleutherAI/gpt-j-6b", "/data/my models/a: b", "./a#b", "'x'", "2024"])
def test_any_model_and_task_are_filled_in_as_they_are(tmp_path: Path, model: str) -> None:
    write_draft(tmp_path / "s.yaml", model, "sst2", force=False)
    [study] = read_studies(tmp_path / "s.yaml")
    assert (study.model.path, study.task.name, study.task.validation_size) == (model, "sst2", None)


def test_a_draft_has_every_section() -> None:
    assert yaml.safe_load(draft(Path("s.yaml"), "embedded", "episodes")).keys() == Study.model_fields.keys()


def test_every_key_that_a_draft_leaves_out_is_one_where_its_comment_is_taken_off() -> None:
    text = draft(Path("s.yaml"), "m/n", "sst2").replace("\n  # ", "\n  ")
    held = yaml.safe_load(text)
    known = {name: field.annotation for name, field in Study.model_fields.items()}
    assert {f"{name}.{key}" for name in ("model", "task", "search", "cluster") for key in held[name]} <= {
        f"{name}.{key}" for name in known for key in getattr(known[name], "model_fields", ())
    }


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("mine")
    with pytest.raises(StudyError, match="is there already.*--force"):
        write_draft(tmp_path / "s.yaml", "embedded", "episodes", force=False)
    assert (tmp_path / "s.yaml").read_text() == "mine"


def test_a_file_is_written_over_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("mine")
    write_draft(tmp_path / "s.yaml", "embedded", "episodes", force=True)
    assert (tmp_path / "s.yaml").read_text().startswith(DRAFT[:7])


def test_an_unknown_task_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no task 'sst3'.*Did you mean 'sst2'"):
        write_draft(tmp_path / "s.yaml", "embedded", "sst3", force=False)
    with pytest.raises(PlaceError, match="is a folder"):
        write_draft(tmp_path, "embedded", "sst2", force=False)
