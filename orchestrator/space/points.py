"""The points of a space as analysis sees them: with the identities of the trials that answer them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import lru_cache

from clipsweep.analysis.winners.point import Point, ScoredTask
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.space.subject import Subject
from clipsweep.trials.clips.identity import Identities
from clipsweep.trials.clips.resolve import fingerprint_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.spec.trial import TEST, VALIDATION, PromptSet

NEIGHBOURS_KEPT = 64  # neighbours on the axis of rates often leave the same ranks


def make_points(
    space: Space,
    choices: Iterable[Choice],
    subject: Subject,
    stored: Container[str] | None = None,
    can_win: Container[Choice] | None = None,
) -> list[Point]:
    """Points with the identities of their trials, tasks and demonstration seeds taken together.

    Args:
        space: Of the study.
        choices: Which points.
        subject: The model and the task.
        stored: Trials that have rows: points none of whose validation trials are among them are left out. None to
            leave out nothing.
        can_win: Those of them that can win; None for all.
    """
    card, tested = subject.card, subject.tested
    identities: dict[str, Identities] = {}
    sets: dict[tuple[int, str], list[PromptSet]] = {}
    tasks: dict[int, tuple[ScoredTask, ...]] = {}
    fingerprints: dict[tuple[Clip, ...], Fingerprint] = {}

    @lru_cache(maxsize=NEIGHBOURS_KEPT)
    def ids_of(shots: int, clips: Fingerprint, split: str) -> tuple[str, ...]:
        if (shots, split) not in sets:
            sets[shots, split] = space.prompt_sets(shots, split)
            for task in {each.task for each in sets[shots, split]} - {*identities}:
                identities[task] = Identities(card, subject.of(task).task_fingerprint)
        return tuple([identities[each.task].of(each, clips) for each in sets[shots, split]])

    found = []
    for choice in choices:
        clips = fingerprints.get(choice.clips)
        if clips is None:
            clips = fingerprints[choice.clips] = fingerprint_of(choice.clips, card)
        trial_ids = ids_of(choice.shots, clips, VALIDATION)
        if choice.shots not in tasks:
            tasks[choice.shots] = space.scored_tasks(choice.shots)
        if stored is not None and not any(trial_id in stored for trial_id in trial_ids):
            continue
        point = Point(
            clips=choice.clips,
            shots=choice.shots,
            trial_ids=trial_ids,
            baseline_ids=ids_of(choice.shots, (), VALIDATION),
            test_ids=ids_of(choice.shots, clips, TEST) if tested else (),
            baseline_test_ids=ids_of(choice.shots, (), TEST) if tested else (),
            metric=space.metric,
            rule=space.winner,
            can_win=can_win is None or choice in can_win,
            tasks=tasks[choice.shots],
        )
        found.append(point)
    return found
