"""Studies side by side, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clipsweep.analysis.compare.difference import Difference
from clipsweep.analysis.compare.pair import Pair, PointPair
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.compare.studies import SideBySide
from clipsweep.analysis.winners.point import describe_clips, describe_point, describe_shots
from clipsweep.orchestrator.comparison.columns import NONE, aligned, listed, section
from clipsweep.orchestrator.status.answer import NO_WINNER, word_gain
from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.base.errors import counted
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import gain_words, score_words, unit_of
from clipsweep.trials.spec.kinds import DEFAULT_KIND
from clipsweep.trials.tasks.release import has_variants

ALIKE = ("model", "dtype", "task", "variant", "validation_rows", "test_rows", "shots", "metric")  # told where equal
MANY = 20  # points, of which the largest difference says little by itself
FINGERPRINT = 12  # characters of one that are shown
AXES = {
    "shots": "numbers of shots",
    "modules": "modules",
    "layers": "layers",
    "kinds": "kinds",
    "clip_rates": "clip rates",
}


def describe_studies(found: SideBySide, top: int) -> str:
    """Studies side by side.

    Args:
        found: The studies.
        top: How many points are shown of each pair.
    """
    parts = [
        section("winners", _winners(found)),
        section("same", _same(found)),
        section("differ", _differing(found)),
        section("cost", _costs(found.sides)),
        section("modules", _modules(found.sides)),
        *(section("points", _points(pair, top)) for pair in found.pairs),
    ]
    return "\n\n".join(part for part in parts if part)


def _winners(found: SideBySide) -> Iterator[str]:
    for side in found.sides:
        yield from _winner(side)
    for pair in found.pairs:
        if pair.winners is not None:
            yield f"that of {pair.second.name} against that of {pair.first.name}: {_word(pair.winners)}"


def _winner(side: Side) -> Iterator[str]:
    winner = side.standings.winner
    if winner is None or winner.is_alone:
        yield f"{side.name}: {NO_WINNER}"
        return
    metric = winner.point.metric
    yield (
        f"{side.name}: {describe_point(winner.point)}: {metric} {score_words(metric, winner.score)} on validation, "
        f"{score_words(metric, winner.baseline_score)} untouched"
    )
    yield f"  {word_gain(winner.gain, winner.test_scores_of_gain)}"


def _word(difference: Difference) -> str:
    """A difference with its interval, and what it was measured on."""
    interval = f"95 % interval {unit_of(difference.metric).interval(*difference.interval)}"
    more = f"{gain_words(difference.metric, difference.estimate)} ({interval}"
    if difference.paired:
        on = f"the same {counted(len(difference.second), 'row')} of {difference.split}"
        return f"{more}, p = {difference.p_value:.2g}), paired over {on}"
    sizes = f"{len(difference.first):,} and {len(difference.second):,} rows of {difference.split}"
    return f"{more}), not paired: over {sizes}, which are not the same"


def _same(found: SideBySide) -> list[str]:
    facts = found.sides[0].facts
    told = [name for name in ALIKE if name != "variant" or has_variants(str(facts.get("task")))]
    names = [name for name in told if name in facts and name not in found.differing]
    return [", ".join(f"{_name(name)} {_values(found.sides[0], name)}" for name in names)] if names else []


def _differing(found: SideBySide) -> list[str]:
    """A line for each fact in which the studies differ, the one that matters most first."""
    if not found.differing:
        return ["in nothing that is stored of them"]
    rows = [[_name(name), *(_values(side, name) for side in found.sides)] for name in found.differing]
    return list(aligned([["", *_names(found.sides)], *rows], left=range(len(found.sides) + 1)))


def _name(fact: str) -> str:
    return fact.replace("_", " ")


def _values(side: Side, fact: str) -> str:
    values = side.facts.get(fact, ())
    if fact.endswith("fingerprint"):
        values = tuple(value[:FINGERPRINT] for value in values)
    return listed(values)


def _names(sides: Iterable[Side]) -> list[str]:
    return [side.name for side in sides]


def _costs(sides: Iterable[Side]) -> list[str]:
    rows = [
        [side.name, f"{cost.trials:,}", f"{cost.rows:,}", f"{cost.operations:.3g}", format_seconds(cost.seconds)]
        for side in sides
        for cost in [side.cost]
    ]
    return list(aligned([["", "trials", "rows evaluated", "operations", "time"], *rows]))


def _modules(sides: Iterable[Side]) -> list[str]:
    """The gain of the winner of each shots and module, where there is more than one."""
    sides = list(sides)
    keys = sorted({key for side in sides for key in side.standings.winners})
    if len(keys) < 2:
        return []
    unit = unit_of(METRICS[sides[0].metric].gained)
    head = [f"gain in {unit.words}", *(cell for side in sides for cell in (side.name, "95 % interval", ""))]
    rows = [
        [f"{module}, {describe_shots(shots)}", *(cell for side in sides for cell in _in_short(side, shots, module))]
        for shots, module in keys
    ]
    return list(aligned([head, *rows], left=range(0, len(head), 3)))


def _in_short(side: Side, shots: int, module: str) -> list[str]:
    """The gain of a winner, its interval, and what it clips, in three cells."""
    winner = side.standings.winners.get((shots, module))
    if winner is None:
        return [NONE, "", ""]
    gain, clip = winner.gain, winner.point.single
    where = describe_clips(each for each in winner.point.clips if not each.is_idle) or "untouched"
    if clip is not None and not clip.is_idle and clip.kind == DEFAULT_KIND:
        where = f"layer {clip.layer} at {clip.clip_rate:g}"
    unit = unit_of(gain.metric)
    return [unit.number(gain.estimate), unit.interval(gain.low, gain.high), f"{where}, {gain.split}"]


def _points(pair: Pair, top: int) -> list[str]:
    """The points of two studies that differ most, below what they have in common."""
    shown = [point for point in pair.points if any(point.won) or point.answers_differ]
    lines = [*_in_common(pair), *(["", *_table(pair, shown[:top])] if shown else ())]
    if len(shown) > MANY:
        chance = "where nothing differs about one in 20 has p < 0.05"
        lines.append(f"The largest of {len(shown):,} differences are large by chance too: {chance}.")
    if len(shown) > top:
        lines.append(f"and {counted(len(shown) - top, 'point')} more that differ less; --top shows more, --json all")
    return lines


def _in_common(pair: Pair) -> Iterator[str]:
    first, second = pair.first, pair.second
    count, complete = len(pair.in_common), len(pair.points)
    only = f"{len(first.points) - count:,} only in {first.name}, {len(second.points) - count:,} only in {second.name}"
    waiting = f"; {counted(count - complete, 'point')} not complete in one of them" if count > complete else ""
    yield f"{first.name} and {second.name} have {counted(count, 'point')} in common, {only}{waiting}. {_how(pair)}"
    if any(side.has_idle_points for side in (first, second)):
        yield "Points that change nothing, as at rate 0, count as one here: the untouched model."
    if not pair.clipped_in_common:
        yield _why_nothing(pair)
    if first.n_layers != second.n_layers:
        yield f"Layers are matched by their number; the models have {first.n_layers} and {second.n_layers}."
    yield from _same_trials(pair)


def _same_trials(pair: Pair) -> Iterator[str]:
    """Whether what was evaluated twice came out alike."""
    count, disagreeing = len(pair.same_trials), len(pair.disagreeing)
    if count:
        them = counted(count, "point")
        what, each = (
            ("likelihoods", "likelihood of every window")
            if METRICS[pair.metric].of_text
            else ("answers", "answer to every row")
        )
        alike = f"{disagreeing:,} of them came out with other {what}" if disagreeing else f"with the same {each}"
        yield f"{them} of both are one and the same trial, {alike}."


def _how(pair: Pair) -> str:
    if pair.same_rows:
        return "Paired over the same rows."
    one, other = pair.first, pair.second
    if one.task != other.task:
        return f"Not paired: {one.name} is of task {one.task}, {other.name} of {other.task}."
    return f"Not paired: both are of task {one.task}, but of other rows or another prompt."


def _why_nothing(pair: Pair) -> str:
    """Why no clip is in both."""
    apart = [AXES[axis] for axis in pair.apart]
    why = f"they have no {' and no '.join(apart)} in common" if apart else "they put them together in other ways"
    untouched = "the untouched model alone is in both" if pair.in_common else "nothing is in both"
    return f"No clip is in common, as {why}; {untouched}."


def _table(pair: Pair, points: Iterable[PointPair]) -> Iterator[str]:
    """A line for each point."""
    names = (pair.first.name, "gain", pair.second.name, "gain")
    gained = METRICS[pair.metric].gained
    differs = unit_of(gained).words if METRICS[gained].of_text else gained
    head = [*names, differs, "95 % interval", "p", f"point, by {pair.metric} on validation"]
    yield from aligned([head, *(_row(pair, point) for point in points)], left=(len(head) - 1,))


def _row(pair: Pair, point: PointPair) -> list[str]:
    """Both scores with their gain over the untouched model, the difference in accuracy, and the point."""
    difference = point.difference
    unit = unit_of(difference.metric)
    p_value = NONE if difference.p_value is None else f"{difference.p_value:.2g}"
    winner_of = " and ".join(side.name for side, won in zip((pair.first, pair.second), point.won, strict=True) if won)
    scored = [
        cell
        for score, gain in zip(point.scores, point.gains, strict=True)
        for cell in (f"{score:.4f}", NONE if gain is None else unit.number(gain))
    ]
    clips = describe_clips(point.clips) or "the untouched model"
    return [
        *scored,
        unit.number(difference.estimate),
        unit.interval(*difference.interval),
        p_value,
        f"{clips}, {describe_shots(point.shots)}{f': winner of {winner_of}' if winner_of else ''}",
    ]
