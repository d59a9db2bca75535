"""What the report says about a study besides its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clipsweep.analysis.frames.spectra_frame import model_spectra
from clipsweep.analysis.report.facts import ReportFacts
from clipsweep.analysis.report.page import write_report
from clipsweep.analysis.theory.theory import Theory
from clipsweep.analysis.winners.standings import Winner
from clipsweep.analysis.winners.turned import Flips
from clipsweep.orchestrator.folder.end import read_end
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.log_file import warned_of
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.reporting.flips import find_flips
from clipsweep.orchestrator.reporting.keeps import describe_kept
from clipsweep.orchestrator.reporting.pairs import baseline_row, winner_row
from clipsweep.orchestrator.status.answer import apply_command, mean_words, study_notes
from clipsweep.orchestrator.status.steps import step_gains
from clipsweep.orchestrator.study.task_section import TaskSection
from clipsweep.orchestrator.theory.read import theory_of
from clipsweep.orchestrator.words import by_split
from clipsweep.trials.base.errors import ClipsweepError, StudyError, counted
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.tasks.task import Task

ROWS_OF = {"demonstrations": "rows that demonstrations are drawn from", VALIDATION: "validation rows"}


LoadTask = Callable[[], Task]


def write_study_report(snapshot: Snapshot, load_task: LoadTask, out: Path | None = None) -> Path:
    """Write a study's report from what is stored.

    Args:
        snapshot: Of the study.
        load_task: Gives the task with its rows; it is called where there is a winner, and may raise a ClipsweepError.
        out: Where to; None for the study's folder.
    """
    path = out or snapshot.opened.folder.report
    write_report(path, report_facts(snapshot, load_task), snapshot.standings)
    return path


def report_facts(snapshot: Snapshot, load_task: LoadTask) -> ReportFacts:
    """What the report says about the study besides its results.

    Args:
        snapshot: Of the study.
        load_task: As ``write_study_report`` takes it.
    """
    opened, winner = snapshot.opened, snapshot.standings.winner
    flips, no_flips = _changed_examples(snapshot, load_task)
    theory, no_theory = _theory(snapshot)
    card, notes = opened.subject.card, study_notes(snapshot)
    return ReportFacts(
        study=opened.study.name,
        subject=f"{opened.study.model.path} on {opened.study.task.name}",
        facts=_subject_facts(opened, winner) | _search_facts(opened) | _row_facts(snapshot),
        spectra=model_spectra(opened.folder.spectrum, card.fingerprint, card.dtype),
        screens=opened.screen.screens() if opened.study.search.screen is not None else None,
        theory=theory,
        no_theory=no_theory,
        two_objectives=opened.two_objectives,
        points_total=None if opened.is_searched else look_ahead(opened, Ledger(opened, snapshot.rows)).points,
        trials=trials_in_words(snapshot.splits_called_for(), snapshot.count_states()[TrialState.PRUNED]),
        failed=snapshot.failed,
        notes=notes,
        steps=step_gains(snapshot),
        keeps=describe_kept(winner.point.clips, card) if winner is not None else (),
        apply=apply_command(snapshot),
        flips=flips,
        no_flips=no_flips,
        warnings=[each for each in warned_of(opened.folder) if each not in notes],
    )


def _changed_examples(snapshot: Snapshot, load_task: LoadTask) -> tuple[Flips | None, str]:
    """The examples that the winner turns, or why they cannot be told. The report is written either way."""
    if apply_command(snapshot) is None:
        winner = snapshot.standings.winner
        won = "There is no winner yet" if winner is None or winner.is_alone else "The untouched model won"
        return None, f"{won}, so no example has changed."
    if METRICS[snapshot.opened.space.metric].of_text:
        return None, "Texts are not answered right or wrong, so no example can change. The gain is paired by windows."
    try:
        row = winner_row(snapshot, None)
        before = baseline_row(snapshot, row)
        return find_flips(load_task(), row, before), ""
    except ClipsweepError as error:
        return None, f"They cannot be shown: {error}"


def _theory(snapshot: Snapshot) -> tuple[Theory | None, str]:
    """What the theory says of a study that asked for it, or why there is nothing to tell yet."""
    if not snapshot.opened.study.theory:
        return None, ""
    try:
        return theory_of(snapshot), ""
    except StudyError as error:
        return None, str(error)


def _subject_facts(opened: OpenStudy, winner: Winner | None) -> dict[str, str]:
    """The model, the task and its rows; of several tasks what their score is."""
    card, members = opened.subject.card, opened.study.task.members
    tasks: dict[str, str] = {}
    for member in members:
        label = f"task {member.name}" if len(members) > 1 else "task"
        of_task = f" of {member.name}" if len(members) > 1 else ""
        dropped = opened.subject.of(member.name).dropped
        tasks |= {label: _task_words(opened, member), f"rows left out{of_task}": describe_dropped(dropped)}
    return {
        "model": f"{opened.study.model.path} ({card.model_type}, {card.n_layers} layers, "
        f"{card.parameters_total / 1e6:,.1f} M parameters, {card.dtype}, fingerprint {card.fingerprint[:12]})",
        **tasks,
        **({"score": mean_words(winner)} if winner is not None and winner.by_task else {}),
        "demonstration seeds": ", ".join(map(str, opened.space.demo_seeds)),
    }


def _task_words(opened: OpenStudy, member: TaskSection) -> str:
    """A task with its rows, and what it counts."""
    facts = opened.subject.of(member.name)
    sizes = ", ".join(f"{count:,} {split}" for split, count in facts.split_sizes.items())
    shares = {each.name: f"{100 * each.share:.3g} % of the score, " for each in opened.space.members}
    share = shares.get(member.name, "")
    return (
        f"{member.name} ({share}{_origin_words(member)}{sizes} {'rows' if member.text is None else 'windows'}, "
        f"split seed {member.seed}, fingerprint {facts.task_fingerprint[:12]})"
    )


def _origin_words(member: TaskSection) -> str:
    """Where a task comes from, up to a comma: its variant, the harness, or its text and how that is cut."""
    if member.text is not None:
        text = member.text
        return (
            f"text of {text.path}, column {text.column!r} where there are columns, length {text.length:,}, stride "
            f"{text.stride or text.length:,}, "
        )
    if member.lm_eval is not None:
        return f"task {member.lm_eval.name} of lm-evaluation-harness, "
    return "" if member.shown_variant is None else f"{member.shown_variant} variant, "


def describe_dropped(dropped: Mapping[str, int]) -> str:
    """Rows that were kept out because their text is in another split, and why that matters."""
    words = [f"{count:,} of the {ROWS_OF.get(split, split)}" for split, count in dropped.items() if count]
    if not words:
        return "none: no text is in two splits"
    return (
        f"{' and '.join(words)}. Their text is also among the rows that are scored, and an answer that stands in a "
        f"prompt, or in both splits, would be no test"
    )


def _search_facts(opened: OpenStudy) -> dict[str, str]:
    """How the study went about it."""
    facts = {"driver": opened.study.search.driver, "microbatch": str(opened.study.cluster.microbatch)}
    if opened.study.search.race is not None:
        facts["race"] = opened.study.search.race
    end = read_end(opened.folder)
    if end is not None and end.stopped_by:
        facts["stopped by"] = end.stopped_by
    if opened.rule is not None:
        facts["layers"] = describe_layers(opened)
    return facts


def _row_facts(snapshot: Snapshot) -> dict[str, str]:
    """How much is stored, and what made it."""
    stopped = sum(snapshot.rows.state(trial_id) is TrialState.PRUNED for trial_id in snapshot.rows)
    facts = {"stored": trials_in_words(snapshot.rows.column("split"), stopped)}
    if not snapshot.history:
        return facts
    latest = snapshot.history[-1]
    versions = ", ".join(f"{name} {number}" for name, number in latest.versions.items() if number)
    return facts | {"versions": versions, "last trial": latest.finished_at.strftime("%Y-%m-%d %H:%M UTC")}


def trials_in_words(splits: Sequence[str], stopped: int) -> str:
    """How many trials there are: ``51 trials: 49 on validation, 2 on test; 40 of them stopped early by the race``.

    Args:
        splits: Of each of them.
        stopped: How many of them a race stopped.
    """
    early = f"; {stopped:,} of them stopped early by the race" if stopped else ""
    on_splits = f": {by_split(Counter(splits))}" if splits else ""
    return f"{counted(len(splits), 'trial')}{on_splits}{early}"


def describe_layers(opened: OpenStudy) -> str:
    """Which layers were chosen by what was measured first, and by what rule."""
    assert opened.rule is not None, "only of studies that name no layers"
    named = ", ".join(f"{site.module} of layer {site.label}" for site in opened.space.sites)
    chosen = named if opened.pending is None else "not chosen yet"
    return f"{chosen}: {opened.rule.describe()}"
