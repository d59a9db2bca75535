"""The seven tasks, in both variants, from a study file to its rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.scores.judge import score_labels
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tokens.encode import encode_prompts
from tests.conftest import REAL_MODEL, SHARED, needs_shared
from tests.orchestrator.stored import latest_rows
from tests.trials.reference import edit_in_place, score_one_by_one
from tests.trials.release_reference import Release
from tests.trials.small_readers import CONTEXT_LENGTH, Reader, build_reader
from tests.trials.written_rows import RELEASE_COUNTS, write_task

PAPER_COUNTS: dict[str, dict[str, Any]] = {
    "sst2": {"train": 60},
    "emoc": {"train": 30, "test": 2},
    "agnews": {"train": 30, "test": 2},
    "mrpc": {"train": 30, "validation": 4, "test": 4},
    "rte": {"train": 20, "validation": 4},
    "cb": {"train": 24, "validation": 3},
    "copa": {"train": 60, "validation": 4},
}
CLIPPED = Clip(layer=1, module="mlp", clip_rate=0.9)
SHOTS = {"agnews": 8, "cb": 15}  # of the paper variant, where not 10


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    place = tmp_path_factory.mktemp("reader")
    return build_reader("gptj", place / "model", place / "cache")


def study_of(model: Path, **task: Any) -> Study:
    content = {
        "name": "seven",
        "model": {"path": str(model)},
        "task": {"validation_size": 8, "test_size": 4, **task},
        "space": {"layers": [-1], "modules": ["mlp"], "clip_rates": [0, 0.9]},
        "cluster": {"replicas": 0},
    }
    return check_study(content)


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> Callable[..., list[StoredRow]]:
    """Run a task with one clip; gives the rows of validation, then of test."""

    def run_it(model: Path, **task: Any) -> list[StoredRow]:
        run_study(study_of(model, **task), tmp_path / "s", cache, Console(quiet=True))
        rows = list(latest_rows(tmp_path / "s").values())
        assert {row.state for row in rows} == {TrialState.COMPLETE}
        return sorted(rows, key=lambda row: (row.split == "test", row.layer is not None))

    return run_it


@pytest.mark.parametrize("name", PAPER_COUNTS)
def test_a_study_of_the_paper_s_task_stores_what_running_each_prompt_alone_gives(
    name: str, reader: Reader, run: Callable[..., list[StoredRow]], tmp_path: Path, cache: Path
) -> None:
    write_task(tmp_path / name, name, **PAPER_COUNTS[name])
    rows = run(reader.folder, name=name, path=str(tmp_path / name))
    shots = SHOTS.get(name, 10)
    assert [(row.shots, row.demonstrations, row.n_examples) for row in rows[:2]] == [(shots, shots, 8)] * 2
    assert [row.n_examples for row in rows[2:]] == [4] * len(rows[2:])
    settings = TaskSettings(name=name, path=str(tmp_path / name), validation_size=8, test_size=4)
    wanted = PromptSet(shots=shots, demo_seed=0, split="validation")
    prompts = encode_prompts(load_task(settings, cache), reader.tokenizer, wanted, CONTEXT_LENGTH)
    for row, clips in zip(rows[:2], [(), (CLIPPED,)], strict=True):
        scores = score_one_by_one(edit_in_place(reader.model, clips), prompts)
        expected = score_labels(scores.numpy(), [query.gold for query in prompts.queries])[1].scores
        assert row.accuracy == expected.accuracy
        assert (
            (row.macro_f1 is None) == (row.calibration_error is None) == (name == "copa")
        )  # its answers differ by row
        assert row.gold_logprob == pytest.approx(expected.gold_logprob, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASE_COUNTS)
def test_a_study_of_the_release_s_task_stores_what_the_release_told_again_gives(
    name: str, reader: Reader, run: Callable[..., list[StoredRow]], tmp_path: Path
) -> None:
    released = Release(name, write_task(tmp_path / name, name, **RELEASE_COUNTS[name]))
    rows = run(reader.folder, name=name, variant="release", path=str(tmp_path / name), test_size=3)
    line = released.line
    assert {(row.variant, row.shots, row.demo_seed) for row in rows} == {("release", line.used, line.seed)}
    tests = [row for row in rows if row.split == "test"]
    for row in tests:
        model = edit_in_place(reader.model, [CLIPPED] if row.layer is not None else [])
        expected = [
            released.is_right(
                asked, released.scores(model, reader.tokenizer, released.prompts(asked), begins=reader.begins)
            )
            for asked in released.test[:3]
        ]
        assert row.accuracy == pytest.approx(sum(expected) / 3)
    assert tests


@pytest.mark.parametrize("variant", ["paper", "release"])
def test_the_plan_of_candidates_counts_the_operations_that_rows_then_hold(
    variant: str, reader: Reader, tmp_path: Path, cache: Path
) -> None:
    write_task(tmp_path / "copa", "copa", **RELEASE_COUNTS["copa"])
    study = study_of(reader.folder, name="copa", variant=variant, path=str(tmp_path / "copa"), test_size=0)
    plan = plan_study(study, tmp_path / "s", cache)
    run_study(study, tmp_path / "s", cache, Console(quiet=True))
    stored = sum(row.operations for row in latest_rows(tmp_path / "s").values())
    assert stored < plan["operations"] < 4 * stored  # besides, the pass that all trials share


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant", "demonstrations"),
    [
        ("sst2", "paper", {10}),
        ("sst2", "release", {10}),
        ("mrpc", "paper", {10}),
        ("mrpc", "release", {10}),
        ("rte", "release", {5}),
        ("copa", "paper", {10}),
        ("copa", "release", {5}),
    ],
)
def test_real_rows_run_on_a_real_model(
    name: str, variant: str, demonstrations: set[int], run: Callable[..., list[StoredRow]]
) -> None:
    rows = run(REAL_MODEL, name=name, variant=variant, path=str(SHARED / "data" / name))
    assert [row.n_examples for row in rows[:2]] == [8, 8]
    assert {row.demonstrations for row in rows} == demonstrations
    assert all(row.score("gold_logprob") < 0 for row in rows)


@needs_shared
@pytest.mark.slow
def test_ten_of_rte_s_demonstrations_are_too_many_for_the_real_model_unless_some_are_left_out(
    run: Callable[..., list[StoredRow]],
) -> None:
    path = str(SHARED / "data" / "rte")
    with pytest.raises(TaskError, match="makes a prompt of .* tokens with 10 demonstrations.* context is 1024"):
        run(REAL_MODEL, name="rte", path=path)
    rows = run(REAL_MODEL, name="rte", path=path, truncate="demonstrations")
    assert {row.shots for row in rows} == {10}
    assert {row.demonstrations for row in rows} <= {5, 6, 7, 8, 9}
