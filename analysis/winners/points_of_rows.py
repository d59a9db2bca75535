"""Points from stored rows alone: what was clipped, and which trials answer for it, as the rows themselves say."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import BEST_MEAN, Point
from clipsweep.analysis.winners.scores import values_of
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.scores.metrics import ACCURACY, METRICS, NLL, OF_ANSWERS
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TEST, VALIDATION

MISSING = ""  # identity of a trial that has no row
COLUMNS = ("trial_id", "split", "shots", "demo_seed", "clips", "parameters_kept", "started_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the points of a study are judged; the defaults are those of a plain grid.

    Attributes:
        metric: Column of scores that points are judged by.
        winner: As ``Point.rule``.
        baseline_competes: Whether the untouched model can win.
        demo_seeds: Of the study; none where it is not known, which takes those that rows have.
        shots: The order of the study's points is that of its axes: of equal scores the first wins. So are the next
            three. What an axis does not list comes behind, ascending.
        modules: See ``shots``.
        kinds: Kinds of clip with their options; see ``shots``.
        clip_rates: See ``shots``.
        searched: Whether a search chose the points: then their order is that in which they began.
        outside: Validation trials that are no points of the study any more, or that cannot win, as a composition did
            not keep them.
    """

    metric: str = ACCURACY
    winner: str = BEST_MEAN
    baseline_competes: bool = True
    demo_seeds: tuple[int, ...] = ()
    shots: tuple[int, ...] = ()
    modules: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str | None], ...] = ()
    clip_rates: tuple[float, ...] = ()
    searched: bool = False
    outside: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As values of JSON, such as the attributes of a frame have to be."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Rules:
        """Read them back; keys that are missing are at their defaults."""
        names = [field.name for field in fields(cls) if field.name in content]
        plain = {name: content[name] for name in names}
        plain |= {name: tuple(value) for name, value in plain.items() if isinstance(value, list | tuple)}
        if "kinds" in plain:
            plain["kinds"] = tuple((name, options) for name, options in plain["kinds"])
        return cls(**plain)


class _Seen(NamedTuple):
    """What a row says of its trial."""

    trial_id: str
    split: str
    shots: int
    demo_seed: int
    clips: tuple[Clip, ...]
    parameters_kept: int
    started_at: datetime


class _Group(NamedTuple):
    """Trials of one point on one split: by demonstration seed."""

    shots: int
    clips: tuple[Clip, ...]
    trials: dict[int, _Seen]

    @property
    def began(self) -> datetime:
        """When the first of them began."""
        return min(seen.started_at for seen in self.trials.values())

    @property
    def alike(self) -> Hashable:
        """What trials that leave the same ranks have in common, though not these alone.

        Rates so low that a matrix is kept whole all keep the same number of parameters, and some kinds always do.
        """
        places = tuple((clip.layer, clip.module, clip.kind, clip.options) for clip in self.clips)
        return self.shots, places, next(iter(self.trials.values())).parameters_kept


_Key = tuple[int, tuple[Clip, ...]]  # shots and clips
_Groups = dict[_Key, _Group]


def points_of_rows(rows: Mapping[str, StoredRow], rules: Rules | None = None) -> list[Point]:
    """The points that stored rows tell of, in the study's order.

    A point is what its rows clip: points that leave the same ranks, which share their trials, are one, as their rows
    say it, and a clip rate of 0 is the untouched model.

    Args:
        rows: Latest attempt at each trial of one study, by trial identity.
        rules: Of the study; None for ``rules_of``.

    Returns:
        A point for each shots and clips of validation rows; ``MISSING`` stands for trials that have no row.
    """
    rules = rules or rules_of(rows)
    seen = [_Seen(*values) for values in values_of(rows, COLUMNS)]
    validation = _grouped(each for each in seen if each.split == VALIDATION)
    tests = _grouped(each for each in seen if each.split == TEST)
    seeds = {shots: _seeds(shots, validation.values(), rules) for shots in {shots for shots, _ in validation}}
    elsewhere = _under_other_rates(validation, tests)
    outside, points = {*rules.outside}, []
    for group in sorted(validation.values(), key=lambda group: _place(group, rules)):
        tested = tests.get((group.shots, group.clips)) or elsewhere.get((group.shots, group.clips))
        point = Point(
            clips=group.clips,
            shots=group.shots,
            trial_ids=_ids(group, seeds[group.shots]),
            baseline_ids=_ids(validation.get((group.shots, ())), seeds[group.shots]),
            test_ids=_ids(tested, seeds[group.shots]) if tests else (),
            baseline_test_ids=_ids(tests.get((group.shots, ())), seeds[group.shots]) if tests else (),
            metric=rules.metric,
            rule=rules.winner,
            can_win=_can_win(group, rules, outside),
        )
        points.append(point)
    return points


def rules_of(rows: Mapping[str, StoredRow]) -> Rules:
    """The rules where nothing but rows is known: those of a plain grid, by accuracy, or of text by its likelihood."""
    of_text = any(nll is not None for (nll,) in values_of(rows, [NLL]))
    return Rules(metric=NLL if of_text else ACCURACY)


def check_metric(rows: Mapping[str, StoredRow], metric: str) -> None:
    """Refuse a metric of texts for answers, one of answers for texts, and one that no trial has.

    Raises:
        StudyError: The rows have no score by it.
    """
    of_text = METRICS[rules_of(rows).metric].of_text
    if METRICS[metric].of_text != of_text:
        known = [name for name, each in METRICS.items() if each.of_text == of_text]
        raise StudyError(
            f"the trials have no {metric}, as their task is {'text' if of_text else 'answered'}; expected "
            f"{' or '.join(known)}."
        )
    scored = [by_it for answered, by_it in values_of(rows, [ACCURACY, metric]) if answered is not None]
    if scored and all(score is None for score in scored):
        raise StudyError(
            f"the trials have no {metric}, as their answers differ by row, or are not chosen among; expected "
            f"{' or '.join(name for name in OF_ANSWERS if name != metric)}."
        )


def _grouped(seen: Iterable[_Seen]) -> _Groups:
    """Trials by shots and clips; clips that leave everything as it is are none."""
    groups: _Groups = {}
    for each in seen:
        clips = tuple([clip for clip in each.clips if not clip.is_idle])
        group = groups.setdefault((each.shots, clips), _Group(each.shots, clips, {}))
        group.trials[each.demo_seed] = each
    return groups


def _under_other_rates(validation: _Groups, tests: _Groups) -> _Groups:
    """Test trials that are stored under another rate than the validation trials of their point, by the latter.

    Both leave the same ranks, which no row says: so it is told only where there is no doubt whose they are.
    """
    homeless: dict[Hashable, list[_Group]] = {}
    for key, group in tests.items():
        if key not in validation:
            homeless.setdefault(group.alike, []).append(group)
    if not homeless:
        return {}
    homes: dict[Hashable, list[_Key]] = {}
    for key, group in validation.items():
        homes.setdefault(group.alike, []).append(key)
    alone = {alike: groups[0] for alike, groups in homeless.items() if len(groups) == 1}
    return {homes[alike][0]: group for alike, group in alone.items() if len(homes.get(alike, ())) == 1}


def _seeds(shots: int, groups: Iterable[_Group], rules: Rules) -> tuple[int, ...]:
    """The demonstration seeds that a point of these shots has trials for; without demonstrations all are one."""
    found = sorted({seed for group in groups if group.shots == shots for seed in group.trials})
    if shots == 0:
        return tuple(found[:1])
    return rules.demo_seeds or tuple(found)


def _ids(group: _Group | None, seeds: Sequence[int]) -> tuple[str, ...]:
    """The trial of each seed; without demonstrations that of any."""
    if group is None:
        return (MISSING,) * len(seeds)
    if group.shots == 0:
        return (next(iter(group.trials.values())).trial_id,)
    return tuple([group.trials[seed].trial_id if seed in group.trials else MISSING for seed in seeds])


def _can_win(group: _Group, rules: Rules, outside: set[str]) -> bool:
    if not group.clips and not rules.baseline_competes:
        return False
    return not any(seen.trial_id in outside for seen in group.trials.values())


def _place(group: _Group, rules: Rules) -> tuple[Any, ...]:
    """Where a point stands in the study's order; the untouched model comes first."""
    if rules.searched:
        return bool(group.clips), group.began if group.clips else _rank(group.shots, rules.shots)
    clips = group.clips
    first = clips[0] if clips else None
    return (
        _rank(group.shots, rules.shots),
        tuple(clip.layer for clip in clips),
        () if first is None else (
            _rank(first.module, rules.modules),
            _rank((first.kind, first.options), rules.kinds),
            _rank(first.clip_rate, rules.clip_rates),
        ),
        group.began,
    )  # fmt: skip


def _rank(value: Any, listed: Sequence[Any]) -> tuple[int, str | float]:
    """The place of a value in a list; what is not in it comes behind, ascending."""
    if value in listed:
        return listed.index(value), 0
    return len(listed), value if isinstance(value, int | float) else str(value)
