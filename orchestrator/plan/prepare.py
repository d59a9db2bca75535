"""Everything that is checked, and everything that is learnt, before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.bayes.database import database_url
from clipsweep.orchestrator.drivers.bayes.encoding import Encoding, check_sampler
from clipsweep.orchestrator.drivers.race.entry import LEAST_ROWS
from clipsweep.orchestrator.folder.open_study import OpenStudy, open_study, read_settings, read_stored
from clipsweep.orchestrator.folder.stored import check_in_place
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.folder.warm_start import check_warm_start
from clipsweep.orchestrator.plan.check_kinds import check_kinds, check_theory, measurable_blocks
from clipsweep.orchestrator.plan.settings_beside import settings_beside
from clipsweep.orchestrator.space.pending import PendingSpace, make_space
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.space.subject import Subject, TaskFacts
from clipsweep.orchestrator.study.check_search import check_likelihoods
from clipsweep.orchestrator.study.check_tasks import check_metrics
from clipsweep.orchestrator.study.names import BAYES
from clipsweep.orchestrator.study.schema import ScreenSection, Study, settings_of
from clipsweep.orchestrator.study.task_section import StudyTaskSection
from clipsweep.trials.base.errors import PlaceError, StudyError
from clipsweep.trials.base.files import factors_limit_bytes
from clipsweep.trials.base.os_words import check_cache, check_folder, worded_as
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.screen.screened import DEFAULT_ROWS
from clipsweep.trials.screen.screened import LEAST_ROWS as LEAST_SCREENED
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.tasks.load import default_seed, define_task, load_task
from clipsweep.trials.tasks.settings import PAPER
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.texts.reader import check_length
from clipsweep.trials.tokens.later import tokenizer_later

AUTO_MICROBATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An open study with what only a run needs.

    Attributes:
        opened: The study.
        checkpoint: Folder of the model.
        tasks: The tasks with their rows, by name: one, or several in one score.
        cache: For factors, converted checkpoints, and what was found out once.
        verify_hashes: Whether replicas read all files of the model, whatever is remembered of their hashes.
    """

    opened: OpenStudy
    checkpoint: Path
    tasks: Mapping[str, Task]
    cache: Path
    verify_hashes: bool = False

    @property
    def task(self) -> Task:
        """The task; of several the first."""
        return next(iter(self.tasks.values()))

    def task_of(self, name: str) -> Task:
        """The task of a name, which of one alone may be left out."""
        return self.tasks.get(name, self.task)


@worded_as(PlaceError)  # nothing has begun yet, so it is bad input
def prepare(study: Study, path: Path, cache: Path, *, verify_hashes: bool = False) -> Prepared:
    """Resolve a study's names and check it against what its folder holds; nothing is left in the folder.

    Args:
        study: As its file says.
        path: The folder.
        cache: For factors, converted checkpoints and file hashes.
        verify_hashes: Whether all files of the model are read, whatever is remembered of their hashes.

    Raises:
        ClipsweepError: Anything in the study that cannot be run, or that contradicts the stored rows.
    """
    folder = StudyFolder(path)
    for member in study.task.members:
        define_task(settings_of(member))  # first what the study alone can tell: a task that there is not
    check_metrics(study)
    factors_limit_bytes()
    check_folder(folder.path, "the study's folder")
    check_in_place(folder.files(), [folder.trials, folder.logs])
    check_cache(cache)
    checkpoint = find_checkpoint(study.model_settings(), cache, verify_hashes=verify_hashes)
    card = describe_checkpoint(checkpoint, study.model.dtype, cache, verify_hashes=verify_hashes)
    resolved = _resolve(study, folder)
    space = make_space(resolved, card)  # refuses layers and modules before any row is read
    for member in resolved.task.members:
        check_length(settings_of(member).text, card.context_length)
    tokenizer = tokenizer_later(lambda: checkpoint)
    tasks = {member.name: load_task(settings_of(member), cache, tokenizer) for member in resolved.task.members}
    for task in tasks.values():
        check_likelihoods(resolved, task.definition)
    n_rows = min(len(task.splits[VALIDATION]) for task in tasks.values())
    resolved = _fit_rows(resolved, n_rows)
    laid_out = space.stand_in if isinstance(space, PendingSpace) else space
    clips = list(chain.from_iterable(laid_out.largest_clips()))
    _refuse_texts(clips, laid_out)
    for task in tasks.values():
        check_kinds(clips, card, laid_out.shots, n_rows, task.read_by)
    if resolved.theory:
        of_text = all(task.definition.scoring is Scoring.TEXT for task in tasks.values())
        check_theory(laid_out, lambda: measurable_blocks(checkpoint, cache), of_text=of_text)
    subject = _subject_of(card, tasks)
    opened = open_study(resolved, folder, subject)
    if resolved.search.driver == BAYES:
        check_sampler(study.search.sampler, Encoding(opened.space).parameters)
        check_warm_start(resolved, subject)
        if study.search.storage is not None:
            database_url(study.search.storage)
    recheck(opened)
    _check_study_file(opened)
    return Prepared(opened=opened, checkpoint=checkpoint, tasks=tasks, cache=cache, verify_hashes=verify_hashes)


def _subject_of(card: ModelCard, tasks: Mapping[str, Task]) -> Subject:
    """The model with its tasks."""
    (_, first), *others = ((name, TaskFacts.of(task)) for name, task in tasks.items())
    return Subject(card=card, first=first, others=dict(others))


def _refuse_texts(clips: Iterable[Clip], space: Space) -> None:
    """Refuse clips that look at texts where several tasks have others, so that each would score another model."""
    looking = next((clip.kind for clip in clips if load_kind(clip.kind).texts(clip) is not None), None)
    if len(space.members) > 1 and looking is not None:
        raise StudyError(
            f"study key 'space.kinds' has {looking!r}, whose clips depend on the texts of the prompts, so that each "
            f"task of task.weighted would score another model; expected kinds that look at no texts. Take "
            f"another kind, or one task."
        )


def _fit_rows(study: Study, n_rows: int) -> Study:
    """Refuse a race whose first rung would say nothing, and a screen of too few rows or of more than there are.

    A screen of as many rows as by default takes all where there are fewer, of which a note tells.
    """
    if study.search.race is not None and n_rows < LEAST_ROWS:
        raise StudyError(
            f"search.race is {study.search.race!r}, but validation has {n_rows} rows; expected {LEAST_ROWS} or more. "
            f"Raise task.validation_size, or remove search.race."
        )
    if study.search.screen is not None and n_rows < LEAST_SCREENED:
        raise StudyError(
            f"search.screen would see {n_rows} rows, as validation has no more; expected {LEAST_SCREENED} or more. "
            f"Raise task.validation_size, or remove search.screen and rules in space.layers that need it."
        )
    if study.search.screen is None or study.search.screen.rows <= n_rows:
        return study
    if study.search.screen.rows != DEFAULT_ROWS:
        raise StudyError(
            f"search.screen.rows is {study.search.screen.rows:,}, but validation has {n_rows:,} rows; expected as many "
            f"or fewer. Lower search.screen.rows, or raise task.validation_size."
        )
    screen = study.search.screen.model_copy(update={"rows": n_rows})
    return study.model_copy(update={"search": study.search.model_copy(update={"screen": screen})})


def recheck(opened: OpenStudy) -> None:
    """Refuse a study whose folder holds the rows of another; again once it is locked, as others may have run there.

    Raises:
        StudyError: What is different.
    """
    history = opened.table.read()
    if len(history):
        _check_against(opened, history[-1], len(history))
        opened.history()


def _check_study_file(opened: OpenStudy) -> None:
    """Refuse a folder with a study file that no run has written: a run would write over it.

    Raises:
        StudyError: It is there, and what the names in it stand for is not.
    """
    folder = opened.folder
    if _was_run(folder) or not folder.study.is_file():
        return
    if folder.study.read_text(encoding="utf-8") != opened.study.to_yaml():  # else a run was killed as it began
        raise StudyError(
            f"{folder.study} was not written by a run, which would write its own over it; expected a folder for this "
            f"study alone. Give another --dir, or none for studies/{opened.study.name}; or move the file."
        )


def _was_run(folder: StudyFolder) -> bool:
    """Whether a run has begun in a folder."""
    return folder.subject.is_file() or folder.trials.exists()


def _resolve(study: Study, folder: StudyFolder) -> Study:
    """Fix what a study leaves open: to the task's and variant's defaults, and the microbatch to what ran before."""
    before = read_stored(folder) if _was_run(folder) else None
    return fill_in(study, AUTO_MICROBATCH if before is None else before.cluster.microbatch)


def fill_in(study: Study, auto_microbatch: int | str = AUTO_MICROBATCH) -> Study:
    """Fix what a study leaves open to the task's and variant's defaults, and an ``auto`` microbatch to this one.

    Layers that a screen chooses imply one, of as many rows as it has by default.
    """
    microbatch = auto_microbatch if study.cluster.microbatch == "auto" else study.cluster.microbatch
    screen = study.search.screen or (ScreenSection() if study.space.screened_layers is not None else None)
    task, shots = _fill_in_tasks(study)
    demo_seeds = [0] if study.space.demo_seeds is None and study.task.variant == PAPER else study.space.demo_seeds
    return study.model_copy(
        update={
            "task": task,
            "space": study.space.model_copy(update={"shots": shots, "demo_seeds": demo_seeds}),
            "search": study.search.model_copy(update={"screen": screen}),
            "cluster": study.cluster.model_copy(update={"microbatch": microbatch}),
        }
    )


def _fill_in_tasks(study: Study) -> tuple[StudyTaskSection, list[int]]:
    """The tasks with their seeds, and the study's shots.

    Where the study has none, they are those of the first task that is no text, which follows them. A task keeps a
    number of its own that is another; text has none.
    """
    settings = [settings_of(member) for member in study.task.members]
    seeds = [default_seed(each) if each.seed is None else each.seed for each in settings]
    defined = [define_task(each) for each in settings]
    stated = [member.shots for member in study.task.weighted or []] or [None]
    own = [task.shots if each is None else each for task, each in zip(defined, stated, strict=True)]
    of_text = [task.scoring is Scoring.TEXT for task in defined]
    first = next((each for each, is_text in zip(own, of_text, strict=True) if not is_text), 0)
    shots = [first] if study.space.shots is None else study.space.shots
    if study.task.weighted is None:
        return study.task.model_copy(update={"seed": seeds[0]}), shots
    weighted = []
    for number, member in enumerate(study.task.weighted):
        follows = study.space.shots is not None and stated[number] is None and not of_text[number]
        kept = None if follows or [own[number]] == shots else own[number]
        weighted.append(member.model_copy(update={"seed": seeds[number], "shots": kept}))
    return study.task.model_copy(update={"weighted": weighted}), shots


def _check_against(opened: OpenStudy, stored: StoredRow, n_rows: int) -> None:
    """Refuse a study that would mix its rows with those of another model, task or name."""
    name = opened.study.task.member(stored.task).name
    context = opened.row_contexts[name]
    pairs: dict[str, tuple[Any, Any]] = {
        "study": (stored.study, context.study),
        "dtype": (stored.dtype, context.dtype),
        "model_fingerprint": (stored.model_fingerprint, context.model_fingerprint),
        "task": (stored.task, name),
        "variant": (stored.variant, context.variant),
        "task_fingerprint": (stored.task_fingerprint, context.task_fingerprint),
    }
    if all(there == here for there, here in pairs.values()):
        return
    beside = settings_beside(read_settings(opened.folder), opened.study.model_dump())
    different = {key: pair for key, pair in (pairs | beside).items() if pair[0] != pair[1]}
    lines = [f"  {key}: stored {there!r}, asked for {here!r}" for key, (there, here) in different.items()]
    raise StudyError(
        f"{opened.folder} holds {n_rows} rows of another study:\n"
        + "\n".join(lines)
        + "\nExpected the same model, task and name. Give the new study another name, or another --dir."
    )
