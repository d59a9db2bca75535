"""What a study's report says of it, and that it is written whatever has become of the rows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.reporting.report_facts import describe_dropped, report_facts, write_study_report
from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tasks.task import Task
from tests.analysis.store.rows import failed_record
from tests.orchestrator.folder.made_up import open_made_up, trial_ids
from tests.orchestrator.stored import take_snapshot

FINISHED = Path(__file__).parents[2] / "fixtures" / "schema-5"


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return take_snapshot(FINISHED)


def rows_are_gone() -> Task:
    raise TaskError("no folder 'rows'.")


def test_the_examples_are_those_that_the_winner_turns_on_test(snapshot: Snapshot, tmp_path: Path) -> None:
    facts = report_facts(snapshot, lambda: snapshot.opened.load_task(tmp_path))
    winner = snapshot.standings.winner
    assert winner is not None
    assert facts.flips is not None
    assert facts.flips.row == winner.rows["winner_test"]
    assert (len(facts.flips.gained), len(facts.flips.lost)) == (1, 3)
    assert facts.keeps[0].endswith(" %")


def test_the_report_is_written_where_the_rows_cannot_be_had(snapshot: Snapshot, tmp_path: Path) -> None:
    path = write_study_report(snapshot, rows_are_gone, tmp_path / "r.html")
    assert "They cannot be shown: no folder &#39;rows&#39;." in path.read_text(encoding="utf-8")


def test_without_a_winner_no_rows_are_read(tmp_path: Path, make_study: Callable[..., dict[str, Any]]) -> None:
    opened = open_made_up(make_study(), tmp_path)
    facts = report_facts(Snapshot.take(opened), rows_are_gone)
    assert facts.no_flips.startswith("There is no winner yet")
    assert (facts.trials, facts.facts["stored"]) == ("0 trials", "0 trials")


def test_failed_trials_are_those_that_the_study_calls_for(
    tmp_path: Path, make_study: Callable[..., dict[str, Any]]
) -> None:
    opened = open_made_up(make_study(space={"layers": [0], "clip_rates": [0.5, 0.9]}), tmp_path)
    base, tested = trial_ids(opened)[0], trial_ids(opened, "test")[0]
    opened = replace(opened, space=replace(opened.space, baseline_competes=False))  # as Algorithm 1 has it
    opened.table.append([failed_record(trial_id=key) for key in (base, tested)])
    facts = report_facts(Snapshot.take(opened), rows_are_gone)
    assert [row.trial_id for row in facts.failed] == [base]
    assert facts.trials == "1 trial: 1 on validation"


@pytest.mark.parametrize(
    ("dropped", "words"),
    [
        ({"demonstrations": 0, "validation": 0}, "none: no text is in two splits"),
        (
            {"demonstrations": 742, "validation": 0},
            "742 of the rows that demonstrations are drawn from. Their text is also among the rows that are scored",
        ),
        ({"demonstrations": 1, "validation": 2}, "1 of the rows that demonstrations are drawn from and 2 of the valid"),
    ],
)
def test_rows_left_out_are_explained(dropped: dict[str, int], words: str) -> None:
    assert describe_dropped(dropped).startswith(words)


def test_text_is_told_with_how_it_is_cut_and_has_no_variant(
    tmp_path: Path, make_study: Callable[..., dict[str, Any]]
) -> None:
    text = {"path": "rows.jsonl", "column": "body", "length": 128, "stride": 64}
    content = make_study(space={"shots": [0]}) | {"task": {"name": "text", "text": text, "seed": 49}}
    told = report_facts(Snapshot.take(open_made_up(content, tmp_path)), rows_are_gone).facts["task"]
    assert "text of rows.jsonl, column 'body' where there are columns, length 128, stride 64" in told
    assert " windows, split seed" in told
    assert "variant" not in told


def test_a_task_with_variants_is_told_with_its_own(tmp_path: Path, make_study: Callable[..., dict[str, Any]]) -> None:
    content = make_study() | {"task": {"name": "sst2", "seed": 49}}
    told = report_facts(Snapshot.take(open_made_up(content, tmp_path)), rows_are_gone).facts["task"]
    assert told.startswith("sst2 (paper variant, ")
