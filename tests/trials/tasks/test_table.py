"""The seven tasks of the paper variant: worded as DESIGN.md's table has them, and no text in two splits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import Example, make_example
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.table import PAPER_TASKS as TASKS
from clipsweep.trials.tasks.task import Task
from tests.conftest import SHARED, needs_shared, write_rows
from tests.trials.written_rows import rows_of, write_task

PAIR = {"premise": " It rained. ", "hypothesis": "It was wet ", "label": 1}
SENTENCES = {"sentence1": " One . ", "sentence2": " Two . ", "label": 1}
ALTERNATIVES = {"premise": "He fell. ", "choice1": " He ran.", "choice2": "It broke. ", "label": 1}


def example(name: str, row: dict[str, Any]) -> Example:
    return make_example(TASKS[name], row, ("train", 0))


@pytest.mark.parametrize(
    ("name", "row", "query", "answers"),
    [
        ("sst2", {"sentence": " a gem ", "label": 1}, "text: a gem\nsentiment:", (" negative", " positive")),
        (
            "agnews",
            {"text": " Stocks rose. ", "label": 2},
            "text: Stocks rose.\nclassification:",
            (" World", " Sports", " Business", " Technology"),
        ),
        ("emoc", {"text": " so glad ", "label": 1}, "text: so glad\nsentiment:", (" others", " happy")),
        ("mrpc", SENTENCES, "sentence1: One .\nsentence2: Two .\nlabel:", (" false", " true")),
        ("rte", PAIR, "It rained.\nDoes this mean that It was wet is true? select Yes or No?", (" Yes", " No")),
        (
            "cb",
            PAIR,
            "Suppose It rained. Can we infer that It was wet? Yes, No, or Maybe?",
            (" Yes", " No", " Maybe"),
        ),
        ("copa", {**ALTERNATIVES, "question": "cause"}, "He fell. because", (" He ran.", " It broke.")),
        ("copa", {**ALTERNATIVES, "question": "effect"}, "He fell. so", (" He ran.", " It broke.")),
    ],
)
def test_rows_are_worded_as_the_design_says(
    name: str, row: dict[str, Any], query: str, answers: tuple[str, ...]
) -> None:
    made = example(name, row)
    assert (made.query, made.alone, made.answers) == (query, query, answers)
    assert made.demonstration == f"{query}{answers[row['label']]}\n"
    assert made.gold == row["label"]


def test_only_hub_label_1_of_emoc_is_happy() -> None:
    golds = [example("emoc", {"text": "x", "label": label}).gold for label in range(4)]
    assert [TASKS["emoc"].wording.answers[gold] for gold in golds] == [" others", " happy", " others", " others"]


def test_candidates_of_copa_are_scored_by_their_mean_and_label_words_by_their_sum() -> None:
    means = {name for name, task in TASKS.items() if task.scoring is Scoring.MEAN_LOGLIKELIHOOD}
    assert means == {"copa"}
    assert {task.scoring for name, task in TASKS.items() if name != "copa"} == {Scoring.LOGLIKELIHOOD}


def test_shots_and_validation_rows_are_the_paper_s_unless_the_study_says_otherwise() -> None:
    assert {name: (task.shots, task.validation_size) for name, task in TASKS.items()} == {
        "sst2": (10, 8000),
        "agnews": (8, 8000),
        "emoc": (10, 5000),
        "mrpc": (10, None),
        "rte": (10, None),
        "cb": (15, None),
        "copa": (10, 200),
    }


@pytest.mark.parametrize(
    ("name", "counts", "validation_size", "sizes"),
    [
        # up to 64 demonstrations of each class, and of all no more than a quarter: 15 of 120 rows for each of 2 classes
        ("sst2", {"train": 60}, 40, (30, 40, 120 - 30 - 40)),
        ("agnews", {"train": 30, "test": 2}, 50, (28, 50, 8)),
        ("emoc", {"train": 30, "test": 2}, 50, (30, 50, 8)),
        ("mrpc", {"train": 30, "validation": 4, "test": 5}, None, (14, 8, 10)),
        ("rte", {"train": 30, "validation": 4}, None, (10, 50, 8)),
        ("cb", {"train": 24, "validation": 3}, None, (15, 57, 9)),
        ("copa", {"train": 60, "validation": 4}, 40, (30, 40, 8)),
    ],
)
def test_splits_are_cut_as_the_paper_cuts_them(
    name: str,
    counts: dict[str, int],
    validation_size: int | None,
    sizes: tuple[int, int, int],
    tmp_path: Path,
    cache: Path,
) -> None:
    write_task(tmp_path / "rows", name, **counts)
    task = load_task(TaskSettings(name=name, path=str(tmp_path / "rows"), validation_size=validation_size), cache)
    assert (len(task.demonstrations), *(len(task.splits[split]) for split in ("validation", "test"))) == sizes
    assert task.dropped == {"demonstrations": 0, "validation": 0}
    golds = [row.gold for row in task.demonstrations]
    assert {golds.count(label) for label in range(task.worded.n_classes)} == {sizes[0] // task.worded.n_classes}


def places(task: Task) -> list[set[object]]:
    """Of demonstrations, validation and test: the rows, and what a reader sees of them."""
    groups = [task.demonstrations, task.splits["validation"], task.splits["test"]]
    return [{*(row.row for row in rows), *(row.text for row in rows)} for rows in groups]


@pytest.mark.parametrize("name", TASKS)
def test_no_row_is_in_two_splits_not_even_by_its_text(name: str, tmp_path: Path, cache: Path) -> None:
    labels = len(TASKS[name].classes)
    again = rows_of(name, "again", [20] * labels)
    for split, repeated in {"train": again[:20], "validation": again[10:25], "test": again[20:35]}.items():
        write_rows(
            tmp_path / "rows" / f"{split}.jsonl", [*rows_of(name, split, [20] * labels), *repeated, *repeated[:5]]
        )
    task = load_task(TaskSettings(name=name, path=str(tmp_path / "rows"), validation_size=15), cache)
    demonstrations, validation, test = places(task)
    assert all((demonstrations, validation, test))
    assert not demonstrations & validation
    assert not demonstrations & test
    assert not validation & test


Write = Callable[..., Task]


@pytest.fixture
def repeat(tmp_path: Path, cache: Path) -> Write:
    """Write a task whose splits hold, besides texts of their own, one text so many times; load it."""

    def write(name: str, validation_size: int | None = None, **times: int) -> Task:
        again = rows_of(name, "again", [1, *[0] * (len(TASKS[name].classes) - 1)])
        for split, count in times.items():
            own = rows_of(name, split, [20] * len(TASKS[name].classes))
            write_rows(tmp_path / "rows" / f"{split}.jsonl", [*own, *again * count])
        return load_task(TaskSettings(name=name, path=str(tmp_path / "rows"), validation_size=validation_size), cache)

    return write


def held(task: Task) -> tuple[int, int, int]:
    """How often demonstrations, validation and test hold the repeated text; its number is 1, of split ``ag``."""
    groups = [task.demonstrations, task.splits["validation"], task.splits["test"]]
    demonstrations, validation, test = (sum("ag1" in "".join(row.text) for row in rows) for rows in groups)
    return demonstrations, validation, test


def test_the_test_keeps_a_text_that_validation_and_demonstrations_lose(repeat: Write) -> None:
    task = repeat("mrpc", train=1, validation=2, test=1)
    assert held(task) == (0, 0, 1)
    assert task.dropped == {"demonstrations": 1, "validation": 2}


def test_validation_keeps_a_text_that_demonstrations_lose(repeat: Write) -> None:
    task = repeat("mrpc", train=3, validation=1, test=0)
    assert held(task) == (0, 1, 0)
    assert task.dropped == {"demonstrations": 3, "validation": 0}


def test_a_text_that_is_twice_in_train_is_kept_for_validation(repeat: Write) -> None:
    task = repeat("rte", train=2, validation=0)
    assert held(task) == (0, 2, 0)
    assert task.dropped == {"demonstrations": 2, "validation": 0}


def test_a_text_that_is_twice_where_all_splits_are_cut_from_is_kept_for_test(repeat: Write) -> None:
    task = repeat("sst2", validation_size=10, train=2)
    assert held(task) == (0, 0, 2)
    assert task.dropped == {"demonstrations": 2, "validation": 2}


@needs_shared
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("sst2", (128, 8000, 67349 - 128 - 8000), marks=pytest.mark.slow),
        ("mrpc", (128, 408, 1725)),
        ("rte", (10, 2480, 277)),
        ("copa", (100, 200, 100)),  # a quarter of 400
    ],
)
def test_real_rows_are_cut_to_the_paper_s_sizes(name: str, sizes: tuple[int, int, int], cache: Path) -> None:
    task = load_task(TaskSettings(name=name, path=str(SHARED / "data" / name)), cache)
    assert (len(task.demonstrations), *map(len, task.splits.values())) == sizes


class AskedError(Exception):
    """What the hub was asked for."""


@pytest.mark.parametrize(
    ("name", "dataset", "config", "revision"),
    [
        ("sst2", "nyu-mll/glue", "sst2", None),
        ("mrpc", "nyu-mll/glue", "mrpc", None),
        ("agnews", "fancyzhx/ag_news", None, None),
        ("emoc", "SemEvalWorkshop/emo", "emo2019", "refs/convert/parquet"),
        ("rte", "aps/super_glue", "rte", "refs/convert/parquet"),
        ("cb", "aps/super_glue", "cb", "refs/convert/parquet"),
        ("copa", "aps/super_glue", "copa", "refs/convert/parquet"),
    ],
)
@pytest.mark.parametrize("path", [None, "mirror/of_it"])
def test_without_a_folder_the_hub_is_asked_for_train(
    name: str,
    dataset: str,
    config: str | None,
    revision: str | None,
    path: str | None,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(path: str, **request: Any) -> None:
        raise AskedError(path, request["name"], request["revision"], request["split"])

    monkeypatch.setattr("datasets.load_dataset", ask)
    with pytest.raises(AskedError) as asked:
        load_task(TaskSettings(name=name, path=path), cache)
    assert asked.value.args == (path or dataset, config, None if path else revision, "train")
