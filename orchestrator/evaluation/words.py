"""Evaluations and examples that turn, in words."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import describe_clips, describe_shots
from clipsweep.analysis.winners.turned import Flip, Flips
from clipsweep.orchestrator.evaluation.evaluation import Evaluation
from clipsweep.orchestrator.status.answer import word_gain
from clipsweep.trials.base.errors import counted
from clipsweep.trials.tasks.release import has_variants

INDENT = " " * 10


def describe_asked(evaluation: Evaluation) -> str:
    """What was evaluated: a line for the model, one for what it is compared with, one for the task."""
    rows, against = evaluation.rows, evaluation.against
    lines = [f"model     {_describe_model(rows[0])}"]
    lines += [f"against   {_describe_model(against[0])}"] if against else []
    task, split = evaluation.task, rows[0].split
    of_variant = f" ({rows[0].variant} variant)" if task.reader is None and has_variants(task.name) else ""
    n_rows = counted(len(task.splits[split]), "window" if rows[0].is_text else "row")
    return "\n".join([*lines, f"task      {rows[0].task}{of_variant}, {n_rows} of {split}"])


def _describe_model(row: StoredRow) -> str:
    kept = f"{row.parameters_kept:,} of {row.parameters_total:,} parameters kept"
    if row.parameters_kept == row.parameters_total:
        kept = f"{row.parameters_total:,} parameters"
    return f"{row.model} ({row.dtype}), {describe_clips(row.clips) or 'untouched'}: {kept}"


def describe_gains(evaluation: Evaluation, limit: int, width: int) -> str:
    """What is gained at each number of shots, and the examples that turn.

    Args:
        evaluation: With a comparison.
        limit: How many examples are shown in each direction.
        width: Of the lines that texts are broken into.
    """
    seeds = Counter(row.shots for row in evaluation.rows)
    lines = []
    for shots, gain in evaluation.gains.items():
        over = " over demonstration seeds" if seeds[shots] > 1 else ""
        lines.append(f"gain      {describe_shots(shots)}: {word_gain(gain, None)}{over}")
    for flips in evaluation.flips:
        prompt = f"{describe_shots(flips.row.shots)}, demonstration seed {flips.row.demo_seed}"
        head = f"{len(flips.gained)} gained, {len(flips.lost)} lost of {flips.n_examples}"
        lines += [f"\nturned    {prompt}: {head}", *_describe_both(flips, limit, width)]
    return "\n".join(lines)


def describe_flips(flips: Flips, limit: int, width: int) -> str:
    """A trial beside its baseline, and the examples that turn.

    Args:
        flips: Of a stored trial.
        limit: How many examples are shown in each direction.
        width: Of the lines that texts are broken into.
    """
    row, count = flips.row, flips.n_examples
    accuracies = (float(row.outcomes[:count].mean()), float(flips.before.outcomes[:count].mean()))
    return "\n".join(
        [
            f"trial     {row.trial_id}: {describe_clips(row.clips)}, {describe_shots(row.shots)}, demonstration seed "
            f"{row.demo_seed}",
            f"baseline  {flips.before.trial_id}: the untouched model on the same {counted(count, 'row')}",
            f"gain      {word_gain(flips.gain, accuracies)}",
            f"turned    {len(flips.gained)} gained, {len(flips.lost)} lost of {count}",
            *(f"note      {note}" for note in flips.notes),
            *_describe_both(flips, limit, width),
        ]
    )


def _describe_both(flips: Flips, limit: int, width: int) -> Iterator[str]:
    """The examples of both directions, each with its heading."""
    yield from _describe_some("gained: wrong before, right after", flips.gained, limit, width)
    yield from _describe_some("lost: right before, wrong after", flips.lost, limit, width)


def _describe_some(heading: str, flips: Sequence[Flip], limit: int, width: int) -> Iterator[str]:
    shown = flips[:limit]
    if not shown:
        return
    more = f" (the first {len(shown)} of {len(flips)}; --limit shows more)" if len(shown) < len(flips) else ""
    yield f"\n{heading}{more}"
    for flip in shown:
        turn = f"{_label(flip.before)} → {_label(flip.after)}{_margins(flip)}"
        yield f"  row {flip.number:<3} {turn}, {flip.place}"
        text = flip.text.strip().replace("\n", "⏎")
        yield textwrap.fill(text, width, initial_indent=INDENT, subsequent_indent=INDENT)


def _label(label: str | None) -> str:
    return "wrong" if label is None else repr(label)


def _margins(flip: Flip) -> str:
    if flip.margin_before is None or flip.margin_after is None:
        return ""
    return f", margin {flip.margin_before:+.3f} → {flip.margin_after:+.3f}"
