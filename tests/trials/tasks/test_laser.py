"""LASER's data sets, of made-up rows in the hub's columns: prompts as LASER's code words them, and splits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.tasks.definition import Example
from clipsweep.trials.tasks.laser import LASER_TASKS, closed
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.task import Task
from tests.conftest import write_rows
from tests.trials.laser_rows import MAKERS, SPLITS, fever, write_laser

Load = Callable[..., Task]
WEATHER = "How is the weather in validation 0?"
BIOGRAPHY = "Consider the following text: dev 0 writes songs."
PROFESSIONS = (" journalist", " poet", " composer", " model", " teacher", " architect", " painter", " professor")
WORDED: list[tuple[str, int | None, str, tuple[str, ...], int]] = [
    ("counterfact", 0, "The mother tongue of train 0 is", (" French",), 0),
    ("counterfact", 1, "It rained. train 0 speaks", (" French",), 0),
    ("counterfact", 2, "The words of train 0 are", (" French",), 0),
    (
        "fever",
        None,
        "Consider the following claim: paper_dev 0 is a film. Is this claim true or false. The claim is",
        (" false", " true"),
        0,
    ),
    (
        "bios_gender",
        None,
        f"{BIOGRAPHY} Is the person in this text male or female? The person is",
        (" male", " female"),
        0,
    ),
    (
        "bios_profession",
        None,
        f"{BIOGRAPHY} What is the profession of the person in this text? The profession of this person is",
        PROFESSIONS,
        0,
    ),
    (
        "truthfulqa",
        0,
        f"{WEATHER} It is warm.Is this statement true or false? This statement is",
        (" false", " true"),
        1,
    ),
    (
        "truthfulqa",
        1,
        f"{WEATHER} It is cold.Is this statement true or false? This statement is",
        (" false", " true"),
        0,
    ),
    (
        "bigbench_epistemic",
        None,
        "Premise: validation 0 thinks. Hypothesis: it rains.\nRelation:",
        (" entailment", " non-entailment"),
        0,
    ),
]
SIZES = {  # rows of validation and of test, of 30 rows of each split of the source
    "counterfact": (36, 144),
    "fever": (8, 32),  # two thirds of them have a verdict
    "bios_gender": (6, 24),
    "bios_profession": (3, 12),  # every other
    "hotpotqa": (12, 20),
    "truthfulqa": (18, 72),
    "bigbench_epistemic": (12, 48),
    "bigbench_wikidata": (8, 32),
}


@pytest.fixture
def load(tmp_path: Path, cache: Path) -> Load:
    """Load one of LASER's tasks from made-up rows, or from these of the first split of its source."""

    def loaded(name: str, rows: list[dict[str, Any]] | None = None, **settings: Any) -> Task:
        folder = write_laser(tmp_path / name, name)
        if rows is not None:
            write_rows(folder / f"{SPLITS[name][0]}.jsonl", rows)
        if name == "hotpotqa":
            settings = {"validation_size": 12, **settings}
        return load_task(TaskSettings(name=name, path=str(folder), **settings), cache)

    return loaded


def rows_of(task: Task) -> list[Example]:
    return [*task.splits[VALIDATION], *task.splits[TEST]]


@pytest.mark.parametrize(("name", "part", "query", "answers", "gold"), WORDED)
def test_a_row_is_worded_as_laser_words_it(
    name: str, part: int | None, query: str, answers: tuple[str, ...], gold: int, load: Load
) -> None:
    place = (SPLITS[name][0], 0)
    (row,) = (row for row in rows_of(load(name)) if (row.row, row.part) == (place, part))
    assert (row.query, row.alone, row.answers, row.gold) == (query, query, answers, gold)


@pytest.mark.parametrize(
    ("name", "number", "query", "answer"),
    [
        ("hotpotqa", 1, "Which film is train 1? The answer is", " a film of 1"),
        ("bigbench_wikidata", 1, "validation 1 lies in", " city 1"),
    ],
)
def test_a_question_with_an_open_answer_is_worded_as_laser_words_it(
    name: str, number: int, query: str, answer: str, load: Load
) -> None:
    settings = {"validation_size": 20} if name == "hotpotqa" else {}
    (row,) = (row for row in rows_of(load(name, **settings)) if row.row == (SPLITS[name][0], number))
    assert (row.query, row.answers, row.gold) == (query, (answer,), 0)


@pytest.mark.parametrize("name", LASER_TASKS)
def test_a_fifth_validates_the_rest_tests_and_nothing_is_set_aside(name: str, load: Load) -> None:
    task = load(name)
    assert (len(task.splits[VALIDATION]), len(task.splits[TEST])) == SIZES[name]
    assert (task.demonstrations, task.definition.shots) == ((), 0)


@pytest.mark.parametrize("name", LASER_TASKS)
def test_no_row_of_the_source_and_no_text_is_in_both_splits(name: str, load: Load) -> None:
    task = load(name)
    validation, test = ({*(row.row for row in rows), *(row.text for row in rows)} for rows in task.splits.values())
    assert not validation & test


def test_open_answers_are_those_of_counterfact_hotpotqa_and_wikidata() -> None:
    scorings = {name: task.scoring for name, task in LASER_TASKS.items()}
    greedy = {name for name, scoring in scorings.items() if scoring is Scoring.GREEDY}
    assert (
        greedy == {"counterfact", "hotpotqa", "bigbench_wikidata"} == {n for n, t in LASER_TASKS.items() if t.is_open}
    )
    assert {scorings[name] for name in scorings.keys() - greedy} == {Scoring.LOGLIKELIHOOD}


def test_a_tie_is_wrong_in_truthfulqa_alone(load: Load) -> None:
    assert {name for name in LASER_TASKS if load(name).strict} == {"truthfulqa"}


def test_demonstrations_are_set_aside_where_they_are_asked_for(load: Load) -> None:
    task = load("bios_gender", demonstrations=4)
    assert [row.gold for row in task.draw_demonstrations(4, 0)].count(0) == 2


def test_claims_come_once_and_not_at_all_where_their_labels_differ(load: Load) -> None:
    own = [fever("paper_dev", number) for number in range(30)]
    again = [{**own[0], "evidence_id": 8}, {**own[1], "label": "REFUTES"}]
    queries = [row.query for row in rows_of(load("fever", rows=[*own, *again]))]
    assert sum("paper_dev 0 is" in query for query in queries) == 1
    assert sum("paper_dev 1 is" in query for query in queries) == 0


def test_verdicts_may_be_numbers_too(load: Load) -> None:
    numbered = [{**fever("paper_dev", number), "label": number % 3} for number in range(30)]
    golds = {row.row: row.gold for row in rows_of(load("fever", rows=numbered))}
    assert (golds["paper_dev", 0], golds["paper_dev", 1], ("paper_dev", 2) in golds) == (0, 1, False)


def test_professions_beside_the_eight_are_left_out(load: Load) -> None:
    assert {row.row[1] % 6 for row in rows_of(load("bios_profession"))} == {0, 2, 4}


def test_answers_of_more_than_ten_words_are_left_out(load: Load) -> None:
    assert all(row.row[1] % 3 for row in rows_of(load("hotpotqa")))


def test_rows_with_two_targets_are_left_out(load: Load) -> None:
    assert all(row.row[1] % 3 for row in rows_of(load("bigbench_wikidata")))


@pytest.mark.parametrize(
    ("text", "end", "marks", "expected"),
    [
        ("It rained", ".", ".?", "It rained."),
        ("It rained.", ".", ".?", "It rained."),
        ("Did it rain?", ".", ".?", "Did it rain?"),
        ("Did it rain?", ".", ".", "Did it rain?."),
        ("Did it rain", "?", ".?", "Did it rain?"),
        ("It rained!", ".", ".?", "It rained!."),
    ],
)
def test_a_mark_is_added_where_none_is(text: str, end: str, marks: str, expected: str) -> None:
    assert closed(text, end, of=marks) == expected


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        (
            "counterfact",
            "requested_rewrite",
            {"prompt": "x"},
            "'requested_rewrite' has no part 'subject'; expected a map",
        ),
        ("counterfact", "requested_rewrite", "x", "'requested_rewrite' has no part 'prompt'"),
        ("truthfulqa", "mc2_targets", ["x"], "'mc2_targets' has no part 'choices'; .* Give rows in the hub's columns"),
        ("fever", "claim", None, "there is nothing in column 'claim'; expected text"),
    ],
)
def test_a_row_in_other_columns_is_refused_with_its_place(
    name: str, column: str, value: object, words: str, load: Load
) -> None:
    row = {**MAKERS[name](SPLITS[name][0], 0), column: value}
    with pytest.raises(TaskError, match=rf"{SPLITS[name][0]}.jsonl, line 1: .*{words}"):
        load(name, rows=[row])


def test_a_missing_column_is_refused_with_those_there_are(load: Load) -> None:
    with pytest.raises(TaskError, match="paper_dev.jsonl, line 1: there is no column 'claim', but text, label. Give"):
        load("fever", rows=[{"text": "x", "label": "REFUTES"}])


class AskedError(Exception):
    """What the hub was asked for."""


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("counterfact", ("azhx/counterfact", None, None, "train")),
        ("fever", ("EleutherAI/fever", "v1.0", "refs/convert/parquet", "paper_dev")),
        ("bios_gender", ("LabHC/bias_in_bios", None, None, "dev")),
        ("bios_profession", ("LabHC/bias_in_bios", None, None, "dev")),
        ("hotpotqa", ("hotpotqa/hotpot_qa", "fullwiki", None, "train")),
        ("truthfulqa", ("truthfulqa/truthful_qa", "multiple_choice", None, "validation")),
        ("bigbench_epistemic", ("tasksource/bigbench", "epistemic_reasoning", None, "validation")),
        ("bigbench_wikidata", ("tasksource/bigbench", "qa_wikidata", None, "validation")),
    ],
)
def test_without_a_folder_the_hub_is_asked(
    name: str, asked: tuple[str | None, ...], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(path: str, **request: Any) -> None:
        raise AskedError(path, request["name"], request["revision"], request["split"])

    monkeypatch.setattr("datasets.load_dataset", ask)
    with pytest.raises(AskedError) as raised:
        load_task(TaskSettings(name=name), cache)
    assert raised.value.args == asked
