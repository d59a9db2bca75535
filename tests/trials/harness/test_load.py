"""A task of the harness with its rows: what it is, how its documents are dealt, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.harness import tasks as harness_tasks
from clipsweep.trials.harness.metrics import choose_metric
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.tasks.load import define_task, load_task
from clipsweep.trials.tasks.settings import HarnessSettings, TaskSettings
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.wording import where_row
from tests.conftest import write_rows
from tests.trials.harness.helpers import load_harness_task, settings_of

ROWS = [{"text": f"film {n}", "label": n % 2} for n in range(12)]
OWN: dict[str, Any] = {
    "task": "own",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"validation": "rows.jsonl"}},
    "output_type": "multiple_choice",
    "validation_split": "validation",
    "doc_to_text": "{{text}}",
    "doc_to_choice": ["no", "yes"],
    "doc_to_target": "label",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
Own = Callable[..., Task]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """A task of twelve documents, some keys of its YAML file changed; beside it ``also`` are written."""

    def load(rows: list[dict[str, Any]] = ROWS, also: tuple[dict[str, Any], ...] = (), **keys: Any) -> Task:
        write_rows(tmp_path / "rows.jsonl", rows)
        for content in ({**OWN, **keys}, *also):
            (tmp_path / f"{content.get('task', 'group')}.yaml".replace("/", "")).write_text(yaml.safe_dump(content))
        return load_harness_task("own", folder=tmp_path)

    return load


@pytest.mark.parametrize(
    ("name", "metric", "scoring", "shots"),
    [
        ("clip_letters", None, Scoring.LOGLIKELIHOOD, 0),
        ("clip_letters", "exact_match", Scoring.GREEDY, 0),
        ("clip_endings", "acc_norm", Scoring.LENGTH_NORMALISED, 0),
        ("clip_delimiter", None, Scoring.LOGLIKELIHOOD, 2),
        ("clip_last_words", None, Scoring.GREEDY, 0),
        ("clip_group", None, Scoring.LENGTH_NORMALISED, 0),
    ],
)
def test_its_metric_says_how_it_is_scored(name: str, metric: str | None, scoring: Scoring, shots: int) -> None:
    definition = define_task(settings_of(name, metric))
    assert (definition.scoring, definition.shots, definition.metric) == (scoring, shots, "accuracy")


def test_its_own_documents_for_validation_and_test_are_ours() -> None:
    task = load_harness_task("clip_letters")
    assert {split: len(rows) for split, rows in task.splits.items()} == {VALIDATION: 12, TEST: 10}
    assert {(row.row[0], row.of_task) for row in task.splits[TEST]} == {("test", "clip_letters")}


def test_one_set_of_documents_is_cut_in_two_and_that_is_told() -> None:
    task = load_harness_task("clip_endings")
    assert {split: len(rows) for split, rows in task.splits.items()} == {VALIDATION: 8, TEST: 8}
    assert len({row.row for rows in task.splits.values() for row in rows}) == 16
    assert "8 are validation and 8 are test here, cut with task.seed 49" in task.notes[1]


def test_the_sizes_that_are_asked_for_are_heeded() -> None:
    task = load_harness_task("clip_endings", validation_size=5, test_size=3)
    assert {split: len(rows) for split, rows in task.splits.items()} == {VALIDATION: 5, TEST: 3}
    assert {*load_harness_task("clip_endings", test_size=0).splits} == {VALIDATION}


def test_the_seed_shuffles_and_a_smaller_split_is_the_beginning_of_a_larger_one() -> None:
    rows, other = (load_harness_task("clip_endings", seed=seed).splits[VALIDATION] for seed in (1, 2))
    smaller = load_harness_task("clip_endings", seed=1, validation_size=4).splits[VALIDATION]
    assert rows != other
    assert rows[:4] == smaller


def test_a_group_has_the_documents_of_all_its_tasks() -> None:
    task = load_harness_task("clip_group")
    assert {row.of_task for row in task.splits[VALIDATION]} == {"clip_endings_0", "clip_delimiter_0"}
    assert sum(map(len, task.splits.values())) == 32


def test_documents_of_one_text_are_not_in_both_splits(own: Own) -> None:
    task = own([*ROWS, ROWS[0], ROWS[0]])
    assert "film 0" not in {row.query for row in task.splits[VALIDATION]}
    assert task.dropped == {VALIDATION: 3}


def test_a_document_is_told_by_its_split_and_its_task(own: Own) -> None:
    row = own().splits[VALIDATION][0]
    assert where_row(row, VALIDATION, 0).startswith(
        f"document {row.row[1]} of 'validation' of harness task 'own' (row 0"
    )
    assert row.place == ("validation of own", row.row[1])


def test_the_fingerprint_follows_documents_and_templates(own: Own) -> None:
    fingerprints = [
        own().fingerprint,
        own([{**row, "text": f"a {row['text']}"} for row in ROWS]).fingerprint,
        own(description="judge").fingerprint,
        own(fewshot_delimiter="\n").fingerprint,
    ]
    assert len({*fingerprints}) == 4
    assert own().fingerprint == fingerprints[0]


def test_demonstrations_from_elsewhere_are_in_the_fingerprint(own: Own, tmp_path: Path) -> None:
    files = {"data_files": {"validation": "rows.jsonl", "train": "train.jsonl"}}
    write_rows(tmp_path / "train.jsonl", ROWS)
    before = own(dataset_kwargs=files, training_split="train").fingerprint
    write_rows(tmp_path / "train.jsonl", [*ROWS[1:], ROWS[0]])
    assert own(dataset_kwargs=files, training_split="train").fingerprint != before


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"output_type": "generate_until"}, "output_type generate_until: it generates text.*task.definition"),
        ({"output_type": None}, "output_type generate_until"),
        ({"output_type": "loglikelihood_rolling"}, "measures perplexity. Give its texts to task.text"),
        ({"process_results": "rows.count"}, r"code of its own \(process_results\).*process_results: null"),
        ({"filter_list": [{"name": "a", "filter": [{"function": "lowercase"}]}]}, "through the filter 'lowercase'"),
        ({"doc_to_image": ["picture"]}, "shows images"),
        ({"class": "rows.Task"}, "made by Python code of its own"),
        (
            {"metric_list": [{"metric": "f1"}]},
            "none of the metrics that are scored here; it has f1, expected one of acc",
        ),
        ({"doc_to_target": "{{[0, 1]}}"}, "document 0 of 'validation' of harness task 'own' has 2 right answers"),
        (
            {"doc_to_target": "lable"},
            "no document of harness task 'own' has a right answer, .* its doc_to_target, 'lable'",
        ),
        (
            {"doc_to_text": "{{nowhere}}"},
            "opened: doc_to_text is '{{nowhere}}', which .* a document .*; its documents have the columns text, label.",
        ),
        (
            {"doc_to_target": "{{nothing}}"},
            "opened: doc_to_target is '{{nothing}}', which does not fit.*columns text, label",
        ),
        (
            {"doc_to_choice": "nowhere"},
            "opened: doc_to_choice is 'nowhere', which does not fit .* the columns text, label",
        ),
        (
            {"validation_split": "nope"},
            "opened: validation_split is 'nope', but its data has no such split; expected one of 'validation'. M",
        ),
        (
            {"test_split": "nope"},
            "opened: test_split is 'nope', but its data has no such split; expected one of 'validat",
        ),
        ({"fewshot_split": "nope"}, "opened: fewshot_split is 'nope', but its data"),
        ({"fewshot_config": {"split": "nope"}}, "opened: fewshot_config.split is 'nope', but its data"),
        (
            {"metric_list": [{"metric": "acc"}, {"metric": "nonesuch"}]},
            r"opened \(KeyError: None; the harness says: nonesuch .*\). Mend its YAML file or its data.$",
        ),
        (
            {"dataset_kwargs": {"data_files": {"validation": "no.jsonl"}}},
            "cannot be opened.*Check the path of its data",
        ),
    ],
)
def test_what_is_not_scored_here_is_refused_with_what_serves_it(own: Own, keys: dict[str, Any], told: str) -> None:
    with pytest.raises(TaskError, match=rf"(?s){told}"):
        own(**keys)


def test_a_document_that_does_not_fit_later_is_refused_with_the_key(own: Own) -> None:
    rows = [{**row, "choices": "['no', 'yes']"} for row in ROWS] + [{"text": "film 12", "label": 1, "choices": "no"}]
    with pytest.raises(
        TaskError, match="cannot be built: doc_to_choice is '{{choices}}', which .* columns text, label, c"
    ):
        own(rows, doc_to_choice="{{choices}}")


def test_what_the_harness_logs_is_shown_to_those_alone_who_listen(
    own: Own, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest
    own(num_fewshot=2)
    assert "num_fewshot" not in capsys.readouterr().err
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler()])  # as --verbose has one
    own(num_fewshot=2)
    assert "[Task: own] num_fewshot > 0 but fewshot_split is None" in capsys.readouterr().err


def test_a_task_that_generates_is_refused_before_its_documents_are_read(own: Own) -> None:
    with pytest.raises(TaskError, match="it generates text"):
        own(output_type="generate_until", dataset_kwargs={"data_files": {"validation": "nowhere.jsonl"}})


def test_a_document_without_a_right_answer_among_others_is_refused(own: Own) -> None:
    rows = [*ROWS, {"text": "film 12", "label": 7}]
    with pytest.raises(TaskError, match=r"document 12 of 'validation' .* no right answer .*1 document of 13; .*Mend"):
        own(rows)


def test_an_empty_choice_has_no_length_to_divide_by(own: Own) -> None:
    rows = [{**row, "choices": ["no", "yes"]} for row in ROWS] + [{"text": "", "label": 1, "choices": ["", "yes"]}]
    metrics = [{"metric": "acc_norm", "aggregation": "mean"}]
    with pytest.raises(TaskError, match="document 12 .* has an empty choice, whose length acc_norm divides by"):
        own(rows, doc_to_choice="choices", metric_list=metrics)


def test_a_metric_that_the_task_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(
        TaskError, match=r"metric is 'f1', but of harness task 'clip_endings' only acc, acc_norm, acc_b"
    ):
        load_harness_task("clip_endings", "f1")


def test_an_unknown_name_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_tasks, "_is_enough", lambda index, name: True)  # reading all takes ten seconds
    with pytest.raises(TaskError, match=r"no harness task 'clip_ending'.*Nearest: clip_endings, .*include_path"):
        load_harness_task("clip_ending")


def test_one_of_the_harness_s_own_is_found_without_reading_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_tasks, "_own_manager", lambda: pytest.fail("this takes ten seconds"))
    with pytest.raises(TaskError, match="harness task 'gsm8k' has output_type generate_until"):
        define_task(TaskSettings(name="gsm8k", lm_eval=HarnessSettings(name="gsm8k")))


def test_a_task_of_the_harness_with_functions_reads_rows_of_the_user_s_own(tmp_path: Path) -> None:
    import lm_eval.tasks

    rows = [
        {"activity_label": "Sailing", "ctx_a": f"film {n}", "ctx_b": "the sea", "endings": ["is [title] dull", "rises"],
         "label": str(n % 2)} for n in range(6)
    ]  # fmt: skip
    write_rows(tmp_path / "rows.jsonl", rows)
    content = {
        "include": str(Path(lm_eval.tasks.__file__).parent / "hellaswag" / "hellaswag.yaml"),
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"train": "rows.jsonl", "validation": "rows.jsonl"}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    task = load_harness_task("mine", "acc_norm", folder=tmp_path, test_size=0, seed=0)
    shown = {row.row[1]: (row.query, row.answers, row.gold) for row in task.splits[VALIDATION]}
    assert shown[1] == ("Sailing: film 1 The sea", (" is. dull", " rises"), 1)
    assert task.fingerprint == load_harness_task("mine", "acc_norm", folder=tmp_path, test_size=0, seed=0).fingerprint


def test_without_the_extra_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_tasks, "find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"not installed. pip install 'clipsweep\[lm-eval\]'"):
        load_harness_task("clip_endings")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    harness = HarnessSettings(name="clip_endings", include_path=str(tmp_path / "nowhere"))
    with pytest.raises(TaskError, match=r"include_path is .*no such folder; expected one with YAML files"):
        load_task(TaskSettings(name="clip_endings", lm_eval=harness), tmp_path)


def test_a_name_of_the_paper_s_is_refused() -> None:
    harness = HarnessSettings(name="clip_endings")
    with pytest.raises(TaskError, match="task.name is 'sst2', by which the paper's published scores"):
        load_task(TaskSettings(name="sst2", lm_eval=harness), Path())


def test_more_rows_than_there_are_are_refused() -> None:
    with pytest.raises(TaskError, match=r"task.validation_size is 17, but task 'clip_endings' has 16 documents left"):
        load_harness_task("clip_endings", validation_size=17)


TWICE = [*ROWS, *ROWS[:2]]  # 14 documents, of which 10 have a text of their own


@pytest.mark.parametrize(
    ("rows", "sizes", "told"),
    [
        (
            ROWS * 2,
            {},
            "task 'own' has no document left for validation, as 24 documents share .*; expected one or more",
        ),
        (ROWS * 2, {}, r"\. Set task.test_size: 0 for no test\.$"),
        (
            ROWS * 2,
            {"validation_size": 30},
            "is 30, but .* no document left for it.* Lower task.validation_size, and set",
        ),
        (TWICE, {"validation_size": 12}, "is 12, but .* 10 documents left for it, as 4 documents share .* at most 10"),
        (TWICE, {"validation_size": 12}, r"\. Lower task.validation_size, or set task.test_size: 0 for no test\.$"),
        (ROWS[:1], {}, r"task 'own' has no document left for test; expected one or more\. Set task.test_size: 0 "),
        (ROWS, {"validation_size": 13, "test_size": 0}, r"at most 12\. Lower task.validation_size\.$"),
        (
            ROWS,
            {"test_size": 12},
            r"is 12, but .* 11 documents left for it; .* at most 11\. Lower task.test_size, or set",
        ),
        (
            ROWS,
            {"validation_size": 12},
            r"no document left for test; .*\. Lower task.validation_size, or set task.test",
        ),
    ],
)
def test_what_is_too_few_is_refused_with_the_cause_and_what_helps(
    own: Own, tmp_path: Path, rows: list[dict[str, Any]], sizes: dict[str, int], told: str
) -> None:
    own()
    write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(TaskError, match=told):
        load_harness_task("own", None, tmp_path, **sizes)


def test_tasks_of_a_group_with_the_same_documents_are_scored_without_a_test(own: Own, tmp_path: Path) -> None:
    own(also=({**OWN, "task": "other"},))
    group = {"group": "both", "task": ["own", "other"], "aggregate_metric_list": [{"metric": "acc"}]}
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(group))
    with pytest.raises(
        TaskError, match=r"'both' has no document left for validation, as 24 documents share their text"
    ):
        load_harness_task("both", folder=tmp_path)
    assert len(load_harness_task("both", folder=tmp_path, test_size=0).splits[VALIDATION]) == 24


@pytest.mark.parametrize(
    ("means", "told"),
    [
        ([{"metric": "acc", "weight_by_size": False}], r"weighs its tasks alike.*weight_by_size: true.*task.weighted"),
        ([], "takes no mean over its tasks"),
    ],
)
def test_a_group_without_one_mean_over_its_documents_is_refused(
    own: Own, tmp_path: Path, means: list[dict[str, Any]], told: str
) -> None:
    own()
    group = {"group": "both", "task": ["own"], "aggregate_metric_list": means}
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(group))
    with pytest.raises(TaskError, match=told):
        load_harness_task("both", folder=tmp_path)


def test_tasks_of_a_group_that_differ_in_their_shots_are_refused(own: Own, tmp_path: Path) -> None:
    own(also=({**OWN, "task": "other", "num_fewshot": 3},))
    group = {"group": "both", "task": ["own", "other"], "aggregate_metric_list": [{"metric": "acc"}]}
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(group))
    with pytest.raises(TaskError, match=r"different numbers of demonstrations \(own 0, other 3\)"):
        load_harness_task("both", folder=tmp_path)


def test_a_tag_is_refused_with_its_tasks(own: Own, tmp_path: Path) -> None:
    own(tag="mine")
    with pytest.raises(TaskError, match=r"'mine' is a tag of the harness.*one by one: own"):
        load_harness_task("mine", folder=tmp_path)


def test_a_metric_that_its_tasks_have_and_the_group_does_not_names_the_key_of_the_group() -> None:
    config = {"output_type": "multiple_choice", "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]}
    with pytest.raises(TaskError, match=r"takes the mean of acc alone \(aggregate_metric_list\); expected one of acc"):
        choose_metric("both", [config], ["acc"], "acc_norm")
