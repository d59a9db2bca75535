"""What a model card says of the study that a checkpoint comes from: its data, its trials, its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import measure_gain
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.take_home.pick_trial import Picked
from clipsweep.trials.base.errors import counted
from clipsweep.trials.scores.metrics import ACCURACY, NLL
from clipsweep.trials.scores.shown import score_words, unit_of


def study_document(snapshot: Snapshot, picked: Picked) -> dict[str, Any]:
    """The study and its trials, as the recipe holds them."""
    opened, first = snapshot.opened, picked.rows[0]
    return {
        "name": opened.study.name,
        "task": first.task,
        "variant": first.variant,
        "task_fingerprint": first.task_fingerprint,
        "shots": first.shots,
        "trial_ids": [row.trial_id for row in picked.rows],
    }


def study_evidence(snapshot: Snapshot, picked: Picked) -> list[str]:
    """Lines of Markdown: what was asked, on which rows, and how the model scored beside the untouched one."""
    opened, first = snapshot.opened, picked.rows[0]
    tasks = " and ".join(_task_words(opened, name) for name in dict.fromkeys(row.task for row in picked.rows))
    drawn = ", ".join(map(str, dict.fromkeys(row.demo_seed for row in picked.rows)))
    seeds = f" (seeds {drawn})" if first.shots else ""
    trials = ", ".join(f"`{row.trial_id}`" for row in picked.rows)
    versions = ", ".join(f"{name} {number}" for name, number in first.versions.items() if number)
    return [
        "## How it was found, and how it scores",
        "",
        f"Study `{opened.study.name}` (driver `{opened.study.search.driver}`) on {tasks}. Prompts have "
        f"{counted(first.demonstrations or 0, 'demonstration')}{seeds}. {_how_many(snapshot, picked)}",
        "",
        *_whose_texts(picked),
        *_table(picked),
        "",
        f"Trials {trials}, with {versions}.",
        "",
    ]


def _task_words(opened: OpenStudy, name: str) -> str:
    """A task with its rows."""
    member, facts = opened.study.task.member(name), opened.subject.of(name)
    sizes = ", ".join(f"{count:,} {split}" for split, count in facts.split_sizes.items())
    of_variant = "" if member.shown_variant is None else f", variant {member.shown_variant}"
    rows = "rows" if member.text is None else "windows"
    return (
        f"the task `{member.name}`{of_variant}: {sizes} {rows}, split seed {member.seed}, fingerprint "
        f"`{facts.task_fingerprint}`"
    )


def _whose_texts(picked: Picked) -> list[str]:
    """Lines that say over which texts matrices were read, where clips depend on that."""
    if not picked.reading_kinds:
        return []
    first, others = picked.rows[0], len(picked.rows) - len(picked.of_these_weights)
    text = (
        f"Clips of kind {' and '.join(f'`{kind}`' for kind in picked.reading_kinds)} depend on what the matrices read: "
        f"here over the texts of trial `{first.trial_id}`, whose demonstrations seed {first.demo_seed} drew."
    )
    if others:
        text += (
            f" The {counted(others, 'trial')} of other seeds made other weights by texts of their own; accuracy and "
            f"gain are means over all."
        )
    return [text, ""]


def _how_many(snapshot: Snapshot, picked: Picked) -> str:
    """How the winner came to be it; nothing of another trial that the user named."""
    winner = snapshot.standings.winner
    if winner is None or not {row.trial_id for row in picked.rows} <= {*winner.point.trial_ids, *winner.point.test_ids}:
        return ""
    return (
        f"The winner was picked on validation out of {counted(winner.considered_points, 'point')}, so that its "
        f"validation score flatters it; test rows played no part in the choice."
    )


def _table(picked: Picked) -> Iterator[str]:
    """The table of scores: a line for each split of each task, whose heading has metric and unit of a task alone."""
    by_task = picked.by_task
    if len(by_task) > 1:
        yield "| split | rows | score | untouched model | gain, 95 % interval |"
    else:
        metric = _metric_of(picked)
        yield f"| split | rows | {metric} | untouched model | gain in {unit_of(metric).words}, 95 % interval |"
    yield "| --- | --- | --- | --- | --- |"
    for each in by_task:
        for split in each.splits:
            yield _scores(each, split, several=len(by_task) > 1)


def _metric_of(picked: Picked) -> str:
    """What the rows of a task are told in, whatever the study is judged by: a guard may be of another kind."""
    return NLL if picked.rows[0].is_text else ACCURACY


def _scores(picked: Picked, split: str, *, several: bool) -> str:
    """A line of the table of scores: means over the demonstration seeds; of several tasks with its own and the unit."""
    metric = _metric_of(picked)
    label = f"{split} of {picked.rows[0].task} ({metric})" if several else split
    rows = [row for row in picked.rows if row.split == split]
    score = _score(rows, metric)
    clipped, baseline = picked.on(split)
    if not baseline:
        return f"| {label} | {rows[0].n_examples:,} | {score} | not complete | – |"
    gain = measure_gain(clipped, baseline)
    unit = unit_of(metric)
    estimate = unit.difference(gain.estimate) if several else unit.number(gain.estimate)
    told = f"{estimate} ({unit.interval(gain.low, gain.high)}, p = {gain.p_value:.2g})"
    return f"| {label} | {rows[0].n_examples:,} | {score} | {_score(baseline, metric)} | {told} |"


def _score(rows: Sequence[StoredRow], metric: str) -> str:
    return score_words(metric, float(np.mean([row.score(metric) for row in rows])))


def compared_words(compared: Mapping[str, Any]) -> str:
    """How one trial of ``check_stored`` came out, in a line."""
    split, differ, rows = compared["split"], compared["differ"], compared["n_examples"]
    seed = f", seed {compared['demo_seed']}," if compared["shots"] else ""
    if compared.get("of_text"):
        return f"{differ:,} of {rows:,} {split} windows{seed} have another likelihood than stored"
    return f"{differ:,} of {rows:,} {split} rows{seed} are answered otherwise than stored"
