"""Prompts are checked before a replica starts; what passed is remembered, what is another prompt is checked anew."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.plan.check_trials import check_trials
from clipsweep.orchestrator.plan.prepare import Prepared, prepare
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.spec.trial import TrialSpec

MakeStudy = Callable[..., dict[str, Any]]


def specs(*shots: int) -> list[TrialSpec]:
    return [TrialSpec(model="m", task="episodes", shots=each, demo_seed=0, split="validation") for each in shots]


@pytest.fixture
def prepared(make_study: MakeStudy, tmp_path: Path, cache: Path) -> Prepared:
    content = make_study(task={"truncate": "demonstrations"}, space={"shots": [4, 40]})
    return prepare(check_study(content), tmp_path / "s", cache)


def test_notes_name_only_the_prompts_that_lose_demonstrations(
    prepared: Prepared,
) -> None:
    notes = check_trials(prepared, specs(4, 40))
    assert [note.partition(":")[0] for note in notes] == ["test, 40 shots, seed 0", "validation, 40 shots, seed 0"]
    assert "more do not fit in 256 tokens (task.truncate: demonstrations)" in notes[0]


def test_the_second_time_the_notes_are_remembered(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = check_trials(prepared, specs(4, 40))
    checking = "clipsweep.orchestrator.plan.check_trials.check_prompt_sets"
    monkeypatch.setattr(checking, lambda *_: pytest.fail("checked again"))
    assert check_trials(prepared, specs(4, 40)) == notes != []


def test_other_prompts_are_checked_whatever_is_remembered(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    prepared = prepare(check_study(make_study()), tmp_path / "s", cache)
    check_trials(prepared, specs(2))
    with pytest.raises(TaskError, match="the model's context is 256"):
        check_trials(prepared, specs(40))


@pytest.mark.slow
def test_a_study_that_was_checked_before_is_checked_without_torch(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(make_study()))
    code = """
import sys
from clipsweep.orchestrator import api

api.check(sys.argv[1], dir=sys.argv[2])
print(*{"torch", "transformers"} & {*sys.modules})
"""
    command = [sys.executable, "-c", code, str(tmp_path / "study.yaml"), str(tmp_path / "s")]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert set(first.split()) == {"torch", "transformers"}
    assert second.split() == []
