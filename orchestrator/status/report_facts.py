"""What the report says about a study besides its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from clipsweep.analysis.figures.conditions import ConditionLine
from clipsweep.analysis.report.page import ReportFacts, write_report
from clipsweep.orchestrator.folder.end import read_end
from clipsweep.orchestrator.folder.log_file import warned_of
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.space.layer_rule import measured_values, module_places
from clipsweep.orchestrator.status.answer import apply_command, study_notes
from clipsweep.orchestrator.status.steps import step_gains
from clipsweep.orchestrator.words import by_split
from clipsweep.trials.base.errors import counted
from clipsweep.trials.clips.spectrum import Conditions


def write_study_report(snapshot: Snapshot, out: Path | None = None) -> Path:
    """Write a study's report from what is stored.

    Args:
        snapshot: Of the study.
        out: Where to; None for the study's folder.
    """
    path = out or snapshot.opened.folder.report
    write_report(path, report_facts(snapshot), snapshot.standings)
    return path


def report_facts(snapshot: Snapshot) -> ReportFacts:
    """What the report says about the study besides its results."""
    opened = snapshot.opened
    return ReportFacts(
        study=opened.study.name,
        facts=_subject_facts(opened) | _search_facts(opened) | _row_facts(snapshot),
        conditions=condition_lines(opened),
        two_objectives=opened.two_objectives,
        history=snapshot.history,
        points_total=None if opened.is_searched else opened.space.n_points,
        trials=trials_in_words(snapshot.splits_called_for()),
        notes=study_notes(snapshot),
        steps=step_gains(snapshot),
        apply=apply_command(snapshot),
    )


def _subject_facts(opened: OpenStudy) -> dict[str, str]:
    """The model, the task and its rows."""
    task, subject, card = opened.study.task, opened.subject, opened.subject.card
    sizes = ", ".join(f"{count} {split}" for split, count in subject.split_sizes.items())
    dropped = ", ".join(f"{count} of {split}" for split, count in subject.dropped.items())
    return {
        "model": f"{opened.study.model.path} ({card.model_type}, {card.n_layers} layers, "
        f"{card.parameters_total / 1e6:,.1f} M parameters, {card.dtype}, fingerprint {card.fingerprint[:12]})",
        "task": f"{task.name} ({task.variant} variant, {sizes} rows, split seed {task.seed}, "
        f"fingerprint {subject.task_fingerprint[:12]})",
        "rows left out": f"{dropped}, whose text is in another split",
        "demonstration seeds": ", ".join(map(str, opened.space.demo_seeds)),
    }


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
    if warnings := warned_of(opened.folder):
        facts["warnings"] = "; ".join(warnings)
    return facts


def _row_facts(snapshot: Snapshot) -> dict[str, str]:
    """How much is stored, and what made it."""
    facts = {"stored": trials_in_words(snapshot.rows.column("split"))}
    if not snapshot.history:
        return facts
    latest = snapshot.history[-1]
    versions = ", ".join(f"{name} {number}" for name, number in latest.versions.items() if number)
    return facts | {"versions": versions, "last trial": latest.finished_at.strftime("%Y-%m-%d %H:%M UTC")}


def trials_in_words(splits: Sequence[str]) -> str:
    """How many trials on these splits there are: ``51 trials: 49 on validation, 2 on test``."""
    return f"{counted(len(splits), 'trial')}: {by_split(Counter(splits))}"


def describe_layers(opened: OpenStudy) -> str:
    """Which layers the condition numbers chose, and by what rule."""
    rule, combination = opened.rule, opened.study.search.module_condition
    assert rule is not None, "only of studies that let condition numbers choose"
    kept = f"the deepest of the {rule.count} layers" if rule.deepest else f"the {rule.count} layers"
    named = ", ".join(f"{site.module} of layer {site.label}" for site in opened.space.sites)
    chosen = named if opened.pending is None else "not chosen yet"
    return f"{chosen}: of each module {kept} with the largest condition number ({combination} over its matrices)"


def condition_lines(opened: OpenStudy) -> list[ConditionLine]:
    """Condition number of each module by layer, as far as ``spectrum.parquet`` has it, and what was chosen by it."""
    conditions = opened.spectrum.conditions()
    return [_condition_line(opened, module, conditions) for module in opened.space.modules]


def _condition_line(opened: OpenStudy, module: str, conditions: Conditions) -> ConditionLine:
    rule = opened.rule
    if rule is None:
        values = measured_values(module_places(opened.subject.card, module), conditions)
        return ConditionLine(module=module, values=values)
    sites = opened.space.sites if opened.pending is None else ()
    chosen = tuple(site.layers[0] for site in sites if site.module == module)
    return ConditionLine(module=module, values=rule.values(conditions, module), chosen=chosen)
