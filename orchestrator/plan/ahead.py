"""What a study has before it: the points of its grid, or random points in the place of those that a search chooses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby, product

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.race.halving import halving_share
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.choices import draw
from clipsweep.orchestrator.space.composition import compositions_of, on_top
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.names import BAYES, HALVING, NEIGHBOURS
from clipsweep.trials.base.errors import counted
from clipsweep.trials.clips.resolve import fingerprint_of, resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.screen.screened import DEFAULT_ROWS
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.resolved import Fingerprint, ResolvedClips
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.start import USUALLY_REUSED, Start
from clipsweep.trials.spec.trial import TEST, VALIDATION, PromptSet, TrialSpec

DRAWS_PER_POINT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a study has before it, winners on the test split aside.

    Attributes:
        missing: How many trials must run, counted by kind: those of the same prompts that start in the same place cost
            the same, and the first spec stands for them. A million points have as few kinds as a hundred.
        total: Distinct trials, known ones included.
        points: Distinct points that can win, tasks and demonstration seeds taken together; None where results choose
            them. Points that leave the same ranks are one.
    """

    missing: dict[TrialSpec, int]
    total: int
    points: int | None = None

    @property
    def known(self) -> int:
        """Distinct trials that need not run."""
        return self.total - sum(self.missing.values())


def look_ahead(opened: OpenStudy, ledger: Ledger) -> Ahead:
    """Count the trials to come. While layers have yet to be chosen, those of middling layers stand for them."""
    count = _count_search if opened.is_searched else _count_enumeration
    return count(opened, ledger, first_rows(opened))


def first_rows(opened: OpenStudy) -> int | None:
    """Rows of a race's first rung, on which every trial is evaluated; None without a race, for all rows.

    Later rungs are counted when trials reach them, for which will cannot be known.
    """
    return make_rungs(opened.subject.first.split_sizes[VALIDATION])[0] if opened.study.search.race else None


def expected_start(clips: ResolvedClips) -> Start:
    """Where a trial starts, as far as that is known before its model is loaded."""
    return clips.start.narrowed(USUALLY_REUSED)


@dataclass(slots=True)
class _Group:
    """Clips with different effects that start at the same place, so that their trials cost the same.

    Attributes:
        clips: Those of the first trial, which stands for all.
        count: How many trials a prompt set has of them.
        stored: Fingerprints of those that have a stored row for some prompt set: only these need a second look.
    """

    clips: tuple[Clip, ...]
    count: int = 0
    stored: list[Fingerprint] = field(default_factory=list)

    def add(self, fingerprint: Fingerprint, known: Container[Fingerprint]) -> None:
        """Count clips that no group has counted yet."""
        self.count += 1
        if fingerprint in known:
            self.stored.append(fingerprint)


def _count_enumeration(opened: OpenStudy, ledger: Ledger, rows: int | None) -> Ahead:
    """Count the trials of a study whose points can be listed.

    All prompt sets have the same clips, but for the last that ``search.n_trials`` has room for. So the clips are
    grouped once, and the groups are counted for each prompt set: a grid of any size is counted in little memory.
    """
    space, card = opened.space, opened.subject.card
    known = _known_demonstrations(opened, ledger, rows)
    groups_of: dict[int, list[_Group]] = {}
    total = points = 0
    missing: dict[TrialSpec, int] = {}
    for shots, n_clips in zip(space.shots, _clips_by_shots(space, opened.study.search.n_trials), strict=True):
        if n_clips not in groups_of:
            groups_of[n_clips] = _group_clips(space, card, n_clips, known)
        points += sum(group.count for group in groups_of[n_clips]) - (not _untouched_wins(space, card, n_clips))
        for prompts, group in product(space.prompt_sets(shots), groups_of[n_clips]):
            own, seed, task = prompts.shots, prompts.demo_seed, prompts.task
            total += group.count
            demonstrations = _demonstrations(task if space.members else "", own, seed)
            stored = sum(demonstrations in known[fingerprint] for fingerprint in group.stored)
            if stored < group.count:
                missing[space.propose(own, seed, group.clips, task=task).spec] = group.count - stored
    return Ahead(missing=missing, total=total, points=points)


def _untouched_wins(space: Space, card: ModelCard, n_clips: int) -> bool:
    """Whether the untouched model can win: by itself, or as one of the clips that are run, which changes nothing."""
    visited = (space.visited_clips(number) for number in range(n_clips))
    return space.baseline_competes or any(not resolve(clips, card).edits for clips in visited)


def _clips_by_shots(space: Space, limit: int | None) -> list[int]:
    """How many clips are run at each number of shots, if at most ``limit`` are run in all."""
    if limit is None:
        return [space.n_clips] * len(space.shots)
    left = (limit - number * space.n_clips for number in range(len(space.shots)))
    return [min(space.n_clips, max(0, count)) for count in left]


def _known_demonstrations(
    opened: OpenStudy, ledger: Ledger, rows: int | None
) -> dict[Fingerprint, set[tuple[str, int, int | None]]]:
    """For clips that have stored rows: with which demonstrations their validation trial need not run."""
    known: dict[Fingerprint, set[tuple[str, int, int | None]]] = {}
    fingerprints: dict[tuple[Clip, ...], Fingerprint] = {}
    several = bool(opened.space.members)
    names = ("task", "split", "shots", "demo_seed", "clips", "state", "n_examples")
    for task, split, shots, seed, clips, state, n_examples in ledger.rows.values_of(names):
        limit = rows or opened.subject.of(task).split_sizes[VALIDATION]
        done = state is TrialState.COMPLETE or (state.has_scores and n_examples >= limit)
        if split != VALIDATION or not done:
            continue
        if clips not in fingerprints:
            fingerprints[clips] = fingerprint_of(clips, opened.subject.card)
        fingerprint = fingerprints[clips]
        if not fingerprint or opened.pending is None:  # else layers are chosen anew: only the untouched model is known
            known.setdefault(fingerprint, set()).add(_demonstrations(task if several else "", shots, seed))
    return known


def _demonstrations(task: str, shots: int, seed: int) -> tuple[str, int, int | None]:
    """What tells the demonstrations of two prompts apart: without shots the seed draws none."""
    return task, shots, seed if shots else None


def _group_clips(space: Space, card: ModelCard, n_clips: int, known: Container[Fingerprint]) -> list[_Group]:
    """The untouched model and the first ``n_clips`` clips by where they start; those with the same effect count once.

    Args:
        space: Whose clips are visited in its order, which is layer by layer.
        card: The model.
        n_clips: How many to visit.
        known: Fingerprints of clips that have stored rows.
    """
    untouched = resolve((), card)
    groups = {expected_start(untouched): _Group(())}
    groups[expected_start(untouched)].add(untouched.fingerprint, known)
    visited = (space.visited_clips(number) for number in range(n_clips))
    apart = all(_is_even(site, card) for site in space.sites)
    for _, of_layer in groupby(visited, key=lambda clips: clips[0].layer if apart else None):
        seen = {untouched.fingerprint}  # started anew: clips of two layers never have the same effect
        for clips in of_layer:
            resolved = resolve(clips, card)
            if resolved.fingerprint not in seen:
                seen.add(resolved.fingerprint)
                groups.setdefault(expected_start(resolved), _Group(clips)).add(resolved.fingerprint, known)
    return list(groups.values())


def _is_even(site: Site, card: ModelCard) -> bool:
    """Whether matrices of all its layers have the same shapes, so that no clip leaves the first of them alone only."""
    shapes = {tuple(card.shapes[layer, role] for role in card.roles_at(layer, site.module)) for layer in site.layers}
    return len(shapes) == 1


def _count_search(opened: OpenStudy, ledger: Ledger, rows: int | None) -> Ahead:
    """Count the trials of a study whose points a sampler chooses: stored ones, and random ones for what is left."""
    seen: set[str] = set()
    first_of: dict[tuple[PromptSet, Start], TrialSpec] = {}
    missing: Counter[TrialSpec] = Counter()
    for choice in [*opened.space.untouched(), *_choices_ahead(opened, ledger)]:
        for proposal in opened.space.proposals_of(choice):
            trial = ledger.trial(replace(proposal, rows=rows))
            if trial.trial_id not in seen and ledger.known(trial) is None:
                kind = trial.spec.prompt_set, expected_start(trial.resolved)
                missing[first_of.setdefault(kind, trial.spec)] += 1
            seen.add(trial.trial_id)
    return Ahead(missing=dict(missing), total=len(seen))


def _choices_ahead(opened: OpenStudy, ledger: Ledger) -> list[Choice]:
    """What is ahead of a search: of a composition its steps, of a sampler stored points and random ones.

    There are random ones up to ``search.n_trials``; one for each shots where that is not set.
    """
    if opened.is_composed:
        return _composed_ahead(opened, ledger)
    space, n_trials = opened.space, opened.study.search.n_trials

    def identity(choice: Choice) -> str:
        return ledger.trial(space.proposals_of(choice)[0]).trial_id

    begun = [choice for choice in opened.visited(ledger.rows) if choice.clips]
    left = len(space.shots) if n_trials is None else max(0, n_trials - len(begun))
    chosen = {identity(choice): choice for choice in begun}
    wanted = len(chosen) + left
    rng = random.Random(0)
    for _ in range(DRAWS_PER_POINT * left):  # a small space may not have so many
        if len(chosen) == wanted:
            break
        drawn = draw(space, rng)
        chosen.setdefault(identity(drawn), drawn)
    return list(chosen.values())


def _composed_ahead(opened: OpenStudy, ledger: Ledger) -> list[Choice]:
    """What the compositions' steps have tried and will try, up to ``search.n_trials``.

    The steps to come are told on top of what has been kept so far, which costs the same: they start in the same places.
    """
    space, visited, further = opened.space, [], []
    for each in compositions_of(space, opened.subject, ledger.rows, again=True):
        visited += [choice for choice in each.visited if choice.clips]
        further += [choice for site in each.ahead for choice in on_top(space, each.kept, site)]
    return [*visited, *further][: opened.study.search.n_trials]


def expected_tests(opened: OpenStudy, missing: Iterable[TrialSpec]) -> list[TrialSpec]:
    """Trials on the test split, if each number of shots and module had a winner of its own, and their baselines.

    Winners are taken to clip the layer in the middle of their module's.
    """
    by_module: dict[str, list[Clip]] = {}
    for clip in opened.space.starts():
        by_module.setdefault(clip.module, []).append(clip)
    winners = [(clips[len(clips) // 2],) for clips in by_module.values()]
    tests = (replace(spec, split=TEST, clips=clips) for spec in missing for clips in ((), *winners))
    return list(dict.fromkeys(tests))


def task_notes(opened: OpenStudy) -> list[str]:
    """That some of several tasks have no test split, so that nothing is run there."""
    subject, names = opened.subject, [member.name for member in opened.study.task.members]
    untested = [name for name in names if not subject.of(name).split_sizes.get(TEST)]
    if not untested or len(untested) == len(names):
        return []
    return [
        f"nothing is run on test, as {', '.join(untested)} has no test rows; gains are told on validation, where "
        f"winners are picked"
    ]


def screen_notes(opened: OpenStudy) -> list[str]:
    """What the user should know of the study's screen before it is made."""
    search, n_rows = opened.study.search, opened.subject.first.split_sizes[VALIDATION]
    if search.screen is None:
        return []
    notes = []
    if search.screen.rows == n_rows < DEFAULT_ROWS:
        notes.append(f"the screen takes all {n_rows} rows of validation, as there are no more")
    goes_by_it = search.driver == BAYES or search.race == NEIGHBOURS or opened.study.space.screened_layers is not None
    if not goes_by_it:
        notes.append(
            f"the driver {search.driver!r} does not go by the screen, which is told in the report alone; the driver "
            f"{BAYES!r}, the race {NEIGHBOURS!r} and layers chosen by top_screen or top_gradient do"
        )
    return notes


def theory_notes(opened: OpenStudy, rows: Mapping[str, StoredRow]) -> list[str]:
    """That stored trials are measured at the end of the run, where the study now asks for the theory."""
    lacking = opened.missing_norms(rows)
    if not lacking:
        return []
    return [
        f"{counted(len(lacking), 'stored trial')} ran before 'theory: true' was set: at the end their demonstrations "
        f"alone are read once more, to measure them; nothing is scored again, and no row changes"
    ]


def search_notes(opened: OpenStudy) -> list[str]:
    """How far a plan of a search can be trusted."""
    search, notes = opened.study.search, []
    if opened.is_composed:
        notes.append("what will be kept is not known: each step is counted, on top of what has been kept so far")
    elif opened.is_searched and search.n_trials is None:
        notes.append(
            "search.n_trials is not set: how many trials will run is not known, and one for each shots is counted"
        )
    elif opened.is_searched:
        notes.append("which points will run is not known: costs are those of random ones")
    if search.race == HALVING:
        share = halving_share(opened.subject.first.split_sizes[VALIDATION])
        notes.append(f"costs are told without the race, which of many trials leaves {100 * share:.0f} % of the rows")
    elif search.race == NEIGHBOURS:
        notes.append("costs are told without the race, which sees no more rows than halving would")
    elif search.race is not None:
        notes.append("costs are told without the race; what it saves is not known")
    return notes
