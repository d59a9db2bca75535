"""What a study has before it: its enumeration, or random points in the place of those that a search will choose."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby

from clipsweep.orchestrator.drivers.races import HALVING, halving_share
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.choices import choice_of_row, choices_of_rows, draw
from clipsweep.orchestrator.space.space import Choice, Proposal, Space
from clipsweep.orchestrator.study.schema import BAYES, Study
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.resolved import Fingerprint, ResolvedClips
from clipsweep.trials.spec.start import USUALLY_REUSED, Start
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

DRAWS_PER_POINT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a study has before it, winners on the test split aside.

    Attributes:
        missing: One spec for each kind of trial that must run, those of the same prompts that start in the same place,
            and how many there are: as few for a million points as for a hundred.
        total: Distinct trials, known ones included.
    """

    missing: dict[TrialSpec, int]
    total: int

    @property
    def known(self) -> int:
        """Distinct trials that need not run."""
        return self.total - sum(self.missing.values())


def is_searched(study: Study) -> bool:
    """Whether a sampler chooses the points, so that they cannot be enumerated beforehand."""
    return study.search.driver == BAYES


def look_ahead(opened: OpenStudy, ledger: Ledger) -> Ahead:
    """Count the trials to come; while layers have yet to be chosen those of middling ones, none of which is known."""
    rows = first_rows(opened)
    return _draw(opened, ledger, rows) if is_searched(opened.study) else _enumerate(opened, ledger, rows)


def first_rows(opened: OpenStudy) -> int | None:
    """How many rows a race evaluates each trial on at first; what goes on is counted as it does. None for all."""
    return make_rungs(opened.identity.split_sizes["validation"])[0] if opened.study.search.race else None


def expected_start(clips: ResolvedClips) -> Start:
    """Where a trial starts, as far as that is known before its model is loaded."""
    return clips.start.narrowed(USUALLY_REUSED)


@dataclass(slots=True)
class _Kind:
    """Distinct clips that start at the same place.

    Attributes:
        clips: The first of them.
        count: How many.
        stored: What those come to that some prompt set has a row of.
    """

    clips: tuple[Clip, ...]
    count: int = 0
    stored: list[Fingerprint] = field(default_factory=list)


def _enumerate(opened: OpenStudy, ledger: Ledger, rows: int | None) -> Ahead:
    """Count an enumeration: clips once for all prompt sets, and no more held than what one layer's come to."""
    space, limit = opened.space, opened.study.search.n_trials
    known = _known_ranks(opened, ledger, rows)
    kinds: dict[int, list[_Kind]] = {}
    total = 0
    missing: dict[TrialSpec, int] = {}
    for number, shots in enumerate(space.shots):
        count = space.n_clips if limit is None else min(space.n_clips, max(0, limit - number * space.n_clips))
        if count not in kinds:
            kinds[count] = _kinds_of(space, opened.identity.card, count, known)
        for seed in space.demo_seeds if shots else space.demo_seeds[:1]:  # without demonstrations all are one
            for kind in kinds[count]:
                total += kind.count
                stored = sum(_drawn_by(shots, seed) in known[clips] for clips in kind.stored)
                if stored < kind.count:
                    missing[space.propose(shots, seed, kind.clips).spec] = kind.count - stored
    return Ahead(missing=missing, total=total)


def _known_ranks(opened: OpenStudy, ledger: Ledger, rows: int | None) -> dict[Fingerprint, set[tuple[int, int | None]]]:
    """By what clips come to: the shots and seeds whose trial need not run."""
    known: dict[Fingerprint, set[tuple[int, int | None]]] = {}
    for row in ledger.rows.values():
        choice = choice_of_row(row)
        proposal = opened.space.propose(choice.shots, row["demo_seed"], choice.clips)
        trial = ledger.trial(replace(proposal, rows=rows))
        clips = trial.resolved.fingerprint
        if row["split"] != "validation" or (clips and not opened.space.settled):
            continue
        if ledger.known(trial) is not None:
            known.setdefault(clips, set()).add(_drawn_by(choice.shots, row["demo_seed"]))
    return known


def _drawn_by(shots: int, seed: int) -> tuple[int, int | None]:
    """What the demonstrations depend on."""
    return shots, seed if shots else None


def _kinds_of(space: Space, card: ModelCard, count: int, known: Container[Fingerprint]) -> list[_Kind]:
    """The untouched model and the first ``count`` clips, those that come to the same counted once."""
    kinds = {expected_start(resolve((), card)): _Kind((), 1, [()] if () in known else [])}
    for _, visited in groupby(map(space.visited_clip, range(count)), key=lambda clip: clip.layer):
        seen: set[Fingerprint] = {()}  # clips of different layers come to different things
        for clip in visited:
            resolved = resolve([clip], card)
            if resolved.fingerprint in seen:
                continue
            seen.add(resolved.fingerprint)
            kind = kinds.setdefault(expected_start(resolved), _Kind((clip,)))
            kind.count += 1
            kind.stored += [resolved.fingerprint] if resolved.fingerprint in known else []
    return list(kinds.values())


def _draw(opened: OpenStudy, ledger: Ledger, rows: int | None) -> Ahead:
    """Count a search's stored trials, and random ones for what it has left to choose."""
    seen: set[str] = set()
    kinds: dict[tuple[PromptSet, Start], TrialSpec] = {}
    missing: Counter[TrialSpec] = Counter()
    for proposal in _proposals_ahead(opened, ledger):
        spec, trial = proposal.spec, ledger.trial(replace(proposal, rows=rows))
        if trial.trial_id not in seen and ledger.known(trial) is None:
            missing[kinds.setdefault((spec.prompt_set, expected_start(trial.resolved)), spec)] += 1
        seen.add(trial.trial_id)
    return Ahead(missing=dict(missing), total=len(seen))


def _proposals_ahead(opened: OpenStudy, ledger: Ledger) -> Iterator[Proposal]:
    """A search's points that are stored, and random ones up to ``search.n_trials``, one for each shots without it."""
    space, search = opened.space, opened.study.search
    begun = [choice for choice in choices_of_rows(space, ledger.rows.values()) if choice.clips]
    left = len(space.shots) if search.n_trials is None else max(0, search.n_trials - len(begun))

    def identity(choice: Choice) -> str:
        return ledger.trial(space.propose(choice.shots, space.demo_seeds[0], choice.clips)).trial_id

    chosen = {identity(choice): choice for choice in begun}
    rng, most = random.Random(0), len(chosen) + left
    for _ in range(DRAWS_PER_POINT * left):
        if len(chosen) < most:
            choice = draw(space, rng)
            chosen.setdefault(identity(choice), choice)
    untouched = [Choice(shots, ()) for shots in space.shots]
    return (
        space.propose(shots, seed, clips)
        for shots, clips in (*untouched, *chosen.values())
        for seed in space.demo_seeds
    )


def search_notes(opened: OpenStudy) -> list[str]:
    """How far a plan of a search can be trusted."""
    search, notes = opened.study.search, []
    if is_searched(opened.study) and search.n_trials is None:
        notes.append(
            "search.n_trials is not set: how many trials will run is not known, and one for each shots is counted"
        )
    elif is_searched(opened.study):
        notes.append("which points will run is not known: costs are those of random ones")
    if search.race == HALVING:
        share = halving_share(opened.identity.split_sizes["validation"])
        notes.append(f"costs are told without the race, which of many trials leaves {100 * share:.0f} % of the rows")
    elif search.race is not None:
        notes.append("costs are told without the race; what it saves is not known")
    return notes
