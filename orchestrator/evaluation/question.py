"""What is asked of a checkpoint, and all that is checked before its weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsweep.analysis.row.record import RowContext
from clipsweep.cluster.work import ReplicaSettings
from clipsweep.orchestrator.plan.check_kinds import check_kinds
from clipsweep.orchestrator.plan.check_trials import check_prompt_sets
from clipsweep.orchestrator.plan.prepare import fill_in
from clipsweep.orchestrator.run.start_pool import replica_settings
from clipsweep.orchestrator.source.overrides import Override
from clipsweep.orchestrator.study.files import study_of_task
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import SpecError, StudyError, TaskError, unknown_name
from clipsweep.trials.base.files import factors_limit_bytes
from clipsweep.trials.base.os_words import check_cache
from clipsweep.trials.clips.identity import identify
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import SPLITS, VALIDATION, Trial, TrialSpec
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.texts.reader import check_length
from clipsweep.trials.tokens.later import tokenizer_later

UNTOUCHED = "untouched"  # what else than a checkpoint an evaluation is compared with
NAME = "evaluate"  # in the column of rows that names their study
CLUSTER_KEYS = ("cpus_per_replica", "gpus_per_replica", "microbatch", "activation_budget")
ClipsOf = Callable[[ModelCard], Sequence[Clip]]


def no_clips(card: ModelCard) -> tuple[Clip, ...]:  # noqa: ARG001 - the untouched model, whatever it is
    """Of the untouched model."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checkpoint, clipped or not, on one split of a task.

    Attributes:
        study: Names the model and the task; its shots and demonstration seeds are those that are asked for.
        split: ``"validation"`` or ``"test"``.
        clips: What is clipped, told once the model is known.
    """

    study: Study
    split: str = VALIDATION
    clips: ClipsOf = no_clips


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A question that can be answered.

    Attributes:
        study: As asked; what it left open is filled in.
        card: Of the model.
        clips: What is clipped.
        task: With its rows.
        trials: One for each number of shots and demonstration seed.
        cache: For factors, conversions and rows.
        notes: What the user should know of the prompts.
    """

    study: Study
    card: ModelCard
    clips: tuple[Clip, ...]
    task: Task
    trials: tuple[Trial, ...]
    cache: Path
    notes: tuple[str, ...]

    @property
    def context(self) -> RowContext:
        """What all its rows have in common."""
        return RowContext(
            study=self.study.name,
            model_fingerprint=self.card.fingerprint,
            dtype=self.card.dtype,
            variant=self.study.task.variant,
            task_fingerprint=self.task.fingerprint,
            parameters_total=self.card.parameters_total,
        )

    @property
    def settings(self) -> ReplicaSettings:
        """What a replica needs to answer it."""
        name, starts = self.study.task.members[0].name, starts_of(self.clips, self.card)
        return replica_settings(self.study, self.card, {name: self.task.fingerprint}, self.cache, starts)


def ask_of(model: str, task: str, options: Sequence[Override], overrides: Sequence[Override] = ()) -> Study:
    """The study that a question names model and task with.

    Args:
        model: A folder, a hub name, or ``"embedded"``.
        task: Name of a task, or a YAML file with a study or a task.
        options: Keys of the study that options of ours stand for.
        overrides: Keys of the sections ``model`` and ``task``, and those of ``cluster`` that one replica heeds.

    Raises:
        StudyError: A wrong key or value, or a key without effect.
    """
    allowed = [f"cluster.{key}" for key in CLUSTER_KEYS]
    for key, _ in overrides:
        if key.partition(".")[0] not in ("model", "task") and key not in allowed:
            known = ", ".join(["task.…", "model.…", *allowed])
            raise StudyError(f"--set {key} has no effect on one evaluation; it takes {known}. Remove it.")
    fixed = [("name", NAME), ("model.revision", None), ("cluster.address", None), ("cluster.replicas", 0)]
    return study_of_task(task, model, [*fixed, *options, *overrides])


def pair_of(study: Study, split: str, clips: ClipsOf, against: str | None) -> tuple[Question, Question | None]:
    """A question, and the one that its answer is compared with.

    Args:
        study: As ``ask_of`` gives it.
        split: ``"validation"`` or ``"test"``.
        clips: Of the first; ``no_clips`` for none.
        against: Another checkpoint, which nothing is clipped of; ``"untouched"`` for the same one without its clips;
            None for nothing.

    Raises:
        SpecError: The untouched model would be compared with itself.
    """
    question = Question(study=study, split=split, clips=clips)
    if against is None:
        return question, None
    if against != UNTOUCHED:
        section = study.model.model_copy(update={"path": against, "revision": None})
        return question, Question(study=study.model_copy(update={"model": section}), split=split)
    if clips is no_clips:
        raise SpecError(
            f"nothing is clipped, so that '{UNTOUCHED}' would be compared with itself; give a clip, or another "
            f"checkpoint to compare with."
        )
    return question, Question(study=study, split=split)


def check_question(question: Question, cache: Path) -> Checked:
    """Check all that can be checked before weights are loaded.

    Args:
        question: What is asked.
        cache: For factors, converted checkpoints, rows and file hashes.

    Raises:
        ClipsweepError: No such model, task, split or layer, or prompts that do not fit.
    """
    study = fill_in(question.study)
    if question.split not in SPLITS:
        raise TaskError(unknown_name("split", question.split, SPLITS))
    factors_limit_bytes()
    check_cache(cache)
    checkpoint = find_checkpoint(study.model_settings(), cache)
    card = describe_checkpoint(checkpoint, study.model.dtype, cache)
    clips = tuple(question.clips(card))
    resolve(clips, card)  # refuses layers and modules before any row is read
    check_length(study.task_settings().text, card.context_length)
    task = load_task(study.task_settings(), cache, tokenizer_later(lambda: checkpoint))
    if question.split not in task.splits:
        raise TaskError(
            f"task {task.name!r} has no {question.split} split here; expected one of {', '.join(task.splits)}. "
            f"Take another --split, or another task.test_size."
        )
    trials = _trials(study, question.split, clips, card, task.fingerprint)
    check_kinds(clips, card, [trial.spec.shots for trial in trials], len(task.splits[VALIDATION]), task.read_by)
    prompt_sets = [trial.spec.prompt_set for trial in trials]
    notes = check_prompt_sets(task, checkpoint, card, prompt_sets)
    return Checked(study=study, card=card, clips=clips, task=task, trials=trials, cache=cache, notes=tuple(notes))


def _trials(study: Study, split: str, clips: tuple[Clip, ...], card: ModelCard, task: str) -> tuple[Trial, ...]:
    """A trial for each number of shots and demonstration seed; without demonstrations the seed does not count."""
    shots, seed_of_rows = study.space.shots, study.task.seed
    assert shots is not None, "fill_in() resolves it"
    assert seed_of_rows is not None, "fill_in() resolves it"
    seeds = study.space.demo_seeds or [seed_of_rows]  # the release's seed fixes its demonstrations
    trials: dict[str, Trial] = {}
    resolved = resolve(clips, card)
    for each in dict.fromkeys(shots):
        for seed in dict.fromkeys(seeds):
            spec = TrialSpec(
                model=study.model.path, task=study.task.name, shots=each, demo_seed=seed, split=split, clips=clips
            )
            identity = identify(spec.prompt_set, resolved.fingerprint, card, task)
            trials.setdefault(identity, Trial(trial_id=identity, spec=spec, resolved=resolved))
    return tuple(trials.values())
