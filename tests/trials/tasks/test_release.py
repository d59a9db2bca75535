"""``variant: release`` against the release told again: the same rows, the same tokens, the same predictions."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.scores.judge import score_labels
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import RELEASE, TaskSettings
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts
from tests.trials.reference import centred, edit_in_place
from tests.trials.release_reference import TABLE, Release
from tests.trials.small_readers import BEGINNING, CONTEXT_LENGTH, Reader, build_reader
from tests.trials.written_rows import RELEASE_COUNTS, Rows, write_task

VALIDATION_SIZE = 8
Both = Callable[..., tuple[Release, Task]]
MLP = Clip(layer=0, module="mlp", clip_rate=0.75)

every_task = pytest.mark.parametrize("name", TABLE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("release")


@pytest.fixture(scope="module")
def both(place: Path) -> Both:
    """The release told again, and ours, over the same rows; each made once."""

    @functools.cache
    def told(name: str) -> Release:
        return Release(name, write_task(place / name, name, **RELEASE_COUNTS[name]))

    @functools.cache
    def load(name: str, validation_size: int | None = None) -> tuple[Release, Task]:
        released, path = told(name), str(place / name)
        settings = TaskSettings(name=name, variant=RELEASE, path=path, validation_size=validation_size)
        return released, load_task(settings, place / "cache")

    return load


@pytest.fixture(scope="module", params=BEGINNING)
def reader(request: pytest.FixtureRequest, place: Path) -> Reader:
    return build_reader(request.param, place / request.param, place / "cache")


def numbers(task: Task, split: str) -> list[int]:
    return [row.row[1] for row in task.splits[split]]


def encode(task: Task, reader: Reader, shots: int) -> Prompts:
    wanted = PromptSet(shots=shots, demo_seed=0, split="validation")
    return encode_prompts(task, reader.tokenizer, wanted, CONTEXT_LENGTH)


def first_rows(released: Release) -> Rows:
    """A validation split of 8: the first of each class, the first classes one more where 8 is no multiple."""
    shares = {1: (8,), 2: (4, 4), 3: (3, 3, 2), 4: (2, 2, 2, 2)}[len(released.validation)]
    return [row for rows, share in zip(released.validation, shares, strict=True) for row in rows[:share]]


@every_task
def test_demonstrations_and_rows_are_the_release_s(name: str, both: Both) -> None:
    released, task = both(name)
    validation = [row["idx"] for rows in released.validation for row in rows]
    assert [row.row[1] for row in task.draw_demonstrations(released.line.used, 0)] == [
        row["idx"] for row in released.demonstrations
    ]
    assert numbers(task, "validation") == validation
    assert numbers(task, "test") == [row["idx"] for row in released.test]
    assert [row.gold for row in task.splits["test"]] == [released.gold(row) for row in released.test]
    assert task.definition.shots == released.line.used


@pytest.mark.parametrize("shots", [None, 0, 3])
@every_task
def test_prompts_are_the_release_s_token_by_token(name: str, shots: int | None, both: Both, reader: Reader) -> None:
    released, task = both(name, VALIDATION_SIZE)
    prompts = encode(task, reader, released.line.used if shots is None else shots)
    read = [[[*prompts.prefix, *tokens] for tokens in prompts.sequences(query)] for query in prompts.queries]
    texts = [released.prompts(row, shots) for row in first_rows(released)]
    assert read == [[reader.tokenizer(text)["input_ids"] for text in each] for each in texts]
    assert {each[0][:1] == [0] for each in read} == {reader.begins}


@pytest.mark.parametrize("shots", [None, 0])
@pytest.mark.parametrize("clips", [(), (MLP,)], ids=["untouched", "clipped"])
@every_task
def test_predictions_are_the_release_s(
    name: str, clips: Sequence[Clip], shots: int | None, both: Both, reader: Reader
) -> None:
    released, task = both(name, VALIDATION_SIZE)
    prompts = encode(task, reader, released.line.used if shots is None else shots)
    scored = reader.engine.score(prompts, resolve(clips, reader.engine.card), microbatch=3).log_likelihoods
    outcomes, _ = score_labels(scored.numpy(), [query.gold for query in prompts.queries], strict=task.strict)
    model, rows = edit_in_place(reader.model, clips), first_rows(released)
    expected = [
        released.scores(model, reader.tokenizer, released.prompts(row, shots), begins=reader.begins) for row in rows
    ]
    assert list(outcomes) == [released.is_right(row, scores) for row, scores in zip(rows, expected, strict=True)]
    torch.testing.assert_close(centred(scored), centred(torch.stack(expected)), atol=2e-5, rtol=0)


def test_the_release_breaks_no_tie_but_copa_s(both: Both) -> None:
    strict = {name for name in TABLE if both(name, VALIDATION_SIZE)[1].strict}
    assert strict == {*TABLE} - {"copa"}


def release_of(place: Path, name: str, **settings: Any) -> Task:
    return load_task(TaskSettings(name=name, variant=RELEASE, path=str(place / name), **settings), place / "cache")


def test_a_class_of_train_that_ends_before_the_demonstrations_is_refused(tmp_path: Path) -> None:
    write_task(tmp_path / "copa", "copa", train=[120, 104], validation=3)
    with pytest.raises(TaskError, match="takes rows 100 to 104 of each class of train .*; class 1 has 104 rows"):
        release_of(tmp_path, "copa")


def test_more_demonstrations_than_the_release_lays_out_are_refused(both: Both) -> None:
    with pytest.raises(TaskError, match="11 shots of task 'rte' are more than the 10 demonstrations of variant"):
        both("rte")[1].draw_demonstrations(11, 0)


def test_rows_cannot_be_set_aside_in_the_release(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="task.demonstrations has no effect in variant release"):
        release_of(tmp_path, "rte", demonstrations=4)


@pytest.mark.parametrize("name", ["topics", "mine"])
def test_a_task_that_the_paper_does_not_have_has_no_release(name: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=f"task.variant is 'release', which task '{name}' does not have|no task 'mine'"):
        release_of(tmp_path, name)


@pytest.mark.parametrize("sizes", [{"validation_size": 17}, {"validation_size": 0}, {"test_size": 9}])
def test_rows_that_the_release_does_not_have_are_refused(sizes: dict[str, int], tmp_path: Path) -> None:
    write_task(tmp_path / "mrpc", "mrpc", train=205, validation=8, test=4)
    with pytest.raises(TaskError, match=r"task\.(validation|test)_size is \d+"):
        release_of(tmp_path, "mrpc", **sizes)


def test_another_seed_draws_other_demonstrations_and_validation_rows(both: Both, place: Path) -> None:
    released, task = both("rte")
    other = release_of(place, "rte", seed=released.line.seed + 1)
    assert other.demonstrations != task.demonstrations
    assert other.splits["validation"] != task.splits["validation"]
    assert release_of(place, "rte", seed=released.line.seed).fingerprint == task.fingerprint
