"""A study with its folder, and what its names stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from clipsweep.analysis.row.record import RowContext
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.screens.screen_file import ScreenFile
from clipsweep.analysis.spectra.spectrum_file import SpectrumFile
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.analysis.theory.norms_file import NormsFile
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import values_of
from clipsweep.orchestrator.folder.no_study import no_study
from clipsweep.orchestrator.folder.notes import notes_of, study_in, subject_in
from clipsweep.orchestrator.folder.stored import MEND_STUDY, check_in_place, is_there, read_stored_study
from clipsweep.orchestrator.folder.study_folder import STUDIES, StudyFolder
from clipsweep.orchestrator.folder.subject_file import read_subject, write_subject
from clipsweep.orchestrator.space.choices import choices_of_rows
from clipsweep.orchestrator.space.composition import Composition, compositions_of
from clipsweep.orchestrator.space.pending import PendingSpace, Rule, make_space
from clipsweep.orchestrator.space.points import make_points
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.screen_rule import ScreenRule
from clipsweep.orchestrator.space.screening import screen_requests
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.space.subject import Subject
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.names import BAYES, COMPOSE
from clipsweep.orchestrator.study.schema import Study, settings_of
from clipsweep.trials.base.errors import ClipsweepError, StoreError, StudyError, TaskError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.clips.spectrum import Place
from clipsweep.trials.models.find import find_config
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.result import FULL_PROMPTS
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.later import tokenizer_later

OF_ALL_ROWS = ("model_fingerprint", "dtype", "task_fingerprint")  # columns in which all rows of a task are equal


@dataclass(frozen=True, kw_only=True)
class OpenStudy:
    """A study, its folder, and what its names stand for.

    Attributes:
        study: As run: ``auto`` sizes resolved.
        folder: Where it lives on disk.
        subject: Its model and task.
        space: Its points; while layers are pending, as many at middling layers.
        table: Its rows.
        pending: The space while its layers have yet to be chosen; None once they are known.
        rule: How its layers are chosen by what is measured first; None where the study names them.
    """

    study: Study
    folder: StudyFolder
    subject: Subject
    space: Space
    table: ResultsTable
    pending: PendingSpace | None = None
    rule: Rule | None = None

    @property
    def is_searched(self) -> bool:
        """Whether results choose the points, so that they cannot be enumerated beforehand."""
        return self.study.search.driver in {BAYES, COMPOSE}

    @property
    def is_composed(self) -> bool:
        """Whether points are composed clip by clip."""
        return self.study.search.driver == COMPOSE

    @property
    def two_objectives(self) -> bool:
        """Whether a Pareto front is what it is after."""
        return len(self.study.search.objectives) > 1

    @property
    def spectrum(self) -> SpectrumFile:
        """Condition numbers of its model, as far as they have been measured."""
        card = self.subject.card
        return SpectrumFile(self.folder.spectrum, card.fingerprint, card.dtype)

    @property
    def screen(self) -> ScreenFile:
        """What was predicted of its clips so far, of this model and these rows."""
        card = self.subject.card
        return ScreenFile(self.folder.screen, card.fingerprint, card.dtype, self.subject.first.task_fingerprint)

    def missing_screens(self) -> list[ScreenRequest]:
        """What the study wants screened, and ``screen.parquet`` does not hold yet.

        While layers are pending, what their choice waits for: of a choice by condition numbers nothing.

        Raises:
            StoreError: ``screen.parquet`` cannot be read.
        """
        wanted = self.screens_wanted()
        if not wanted:
            return []
        screens = self.screen.screens()
        return [each for each in wanted if not screens.holds(each)]

    def screens_wanted(self) -> Sequence[ScreenRequest]:
        """What the study wants screened, whatever is held of it; see ``missing_screens``."""
        wanted = self.study.search.screen
        rule = None if self.pending is None else self.pending.rule
        if isinstance(rule, ScreenRule):
            return rule.requests
        return [] if wanted is None or rule is not None else screen_requests(self.space, wanted.rows)

    def missing_spectra(self) -> list[Place]:
        """Where matrices lie that the study clips, and whose singular values it wants and has not measured.

        Of a study that did not ask for the theory nothing; nor while layers are pending.

        Raises:
            StoreError: ``spectrum.parquet`` cannot be read.
        """
        if not self.study.theory or self.pending is not None:
            return []
        card, measured = self.subject.card, self.spectrum.conditions()
        clipped = {
            (layer, role) for site in self.space.sites for layer in site.layers for role in card.roles(site.module)
        }
        return sorted(place for place in clipped & card.shapes.keys() if place not in measured)

    @cached_property
    def norms(self) -> NormsFile:
        """What demonstrations do in trials that were not measured while they were scored."""
        return NormsFile(self.folder.norms)

    def missing_norms(self, rows: Mapping[str, StoredRow]) -> list[str]:
        """Stored trials that the study wants measured by the theory, and that are not; none where it did not ask."""
        return self.unmeasured(rows) if self.study.theory else []

    def unmeasured(self, rows: Mapping[str, StoredRow]) -> list[str]:
        """Stored trials that were not measured by the theory and can be.

        Prompts that were read whole cannot, nor those without demonstrations.

        Args:
            rows: Latest attempt at each trial, as ``history`` has it.

        Raises:
            StoreError: ``theory.parquet`` cannot be read.
        """
        columns = ("trial_id", "state", "shots", "demonstrations", "engine_path", "theory_seconds")
        return [
            trial_id
            for trial_id, state, asked_for, shown, path, seconds in values_of(rows, columns)
            if state.has_scores and (asked_for if shown is None else shown) and path != FULL_PROMPTS and seconds is None
        ]

    @property
    def row_context(self) -> RowContext:
        """What all its rows have in common; of several tasks those of the first."""
        return next(iter(self.row_contexts.values()))

    @cached_property
    def row_contexts(self) -> dict[str, RowContext]:
        """What all rows of each of its tasks have in common, by the task's name."""
        card = self.subject.card
        return {
            task.name: RowContext(
                study=self.study.name,
                model_fingerprint=card.fingerprint,
                dtype=card.dtype,
                variant=task.variant,
                task_fingerprint=self.subject.of(task.name).task_fingerprint,
                parameters_total=card.parameters_total,
            )
            for task in self.study.task.members
        }

    def history(self) -> Attempts:
        """Every stored attempt in the order they finished; with its norms also where they were measured later.

        As long as nothing is added it is the same value. Norms are read when they are asked for.

        Raises:
            StoreError: A file is damaged, or holds rows of another model or task.
        """
        history, contexts = self.table.read(), self.row_contexts.values()
        self.table.refuse_others({name: {getattr(context, name) for context in contexts} for name in OF_ALL_ROWS})
        return self.norms.fill(history)

    def load_task(self, cache: Path, name: str = "") -> Task:
        """A task with the rows that the study was run on.

        Args:
            cache: Where rows are kept.
            name: Which of several; the first where none has it.

        Raises:
            TaskError: They cannot be had, or have changed since.
            ModelError: They are cut by the model's tokenizer, and the model is not there any more.
        """
        tokenizer = tokenizer_later(lambda: find_config(self.study.model_settings()))
        task = load_task(settings_of(self.study.task.member(name)), cache, tokenizer)
        expected = self.subject.of(task.name).task_fingerprint
        if task.fingerprint != expected:
            raise TaskError(
                f"the rows of task {task.name!r} have changed since {self.folder} was run (fingerprint "
                f"{expected[:12]} then, {task.fingerprint[:12]} now), so that its outcomes belong to others. Bring "
                f"back the rows that it was run on."
            )
        return task

    def choose_layers(self) -> OpenStudy:
        """The study with the layers that its stored condition numbers or screens choose, once all are there.

        Raises:
            StoreError: ``spectrum.parquet`` or ``screen.parquet`` cannot be read.
        """
        if self.pending is None:
            return self
        rule = self.pending.rule
        if isinstance(rule, ScreenRule):
            sites = rule.choose(self.screen.screens())
        else:
            sites = rule.choose(self.spectrum.conditions())
        return self if sites is None else replace(self, space=replace(self.space, sites=sites), pending=None)

    def points(self, rows: Mapping[str, StoredRow]) -> list[Point]:
        """The points of the space that have stored rows, with their trials.

        Args:
            rows: Latest attempt at each trial.
        """
        if self.pending is not None or not self.is_composed:
            return make_points(self.space, self._competing(rows), self.subject, rows)
        compositions = self.compositions(rows)
        kept = {choice for each in compositions for choice in each.path}
        visited = (choice for each in compositions for choice in each.visited)
        return make_points(self.space, visited, self.subject, rows, can_win=kept)

    def compositions(self, rows: Mapping[str, StoredRow]) -> list[Composition]:
        """How far the composition of each number of shots is; only of a study whose points are composed."""
        return compositions_of(self.space, self.subject, rows)

    def visited(self, rows: Mapping[str, StoredRow]) -> list[Choice]:
        """What a search has begun: choices that clip something, or not, of which a validation trial has a row."""
        if not self.is_composed:
            return choices_of_rows(self.space, rows)
        choices = [choice for each in self.compositions(rows) for choice in each.visited]
        return [Choice(point.shots, point.clips) for point in make_points(self.space, choices, self.subject, rows)]

    def baselines(self, rows: Mapping[str, StoredRow]) -> set[str]:
        """Identities of the untouched model's validation trials that have rows, whether or not it can win."""
        proposals = [each for choice in self.space.untouched() for each in self.space.proposals_of(choice)]
        identities = {self.subject.trial_id(each.spec) for each in proposals}
        return {identity for identity in identities if identity in rows}

    def _competing(self, rows: Mapping[str, StoredRow]) -> Iterable[Choice]:
        """Choices that can win: all of an enumeration, or those that a search has visited."""
        untouched = self.space.untouched() if self.space.baseline_competes else []
        if self.pending is not None:
            return untouched
        if not self.is_searched:
            return self.space.choices()
        return [*untouched, *(choice for choice in self.visited(rows) if choice.clips)]


def default_folder(study: Study) -> Path:
    """Where a study lives unless ``--dir`` says otherwise."""
    return STUDIES / study.name


def open_study(study: Study, folder: StudyFolder, subject: Subject) -> OpenStudy:
    """Put a resolved study together with what its names stand for.

    Raises:
        SpecError: A layer or module that the model does not have.
        StudyError: Fewer layers than are to be chosen.
        StoreError: ``spectrum.parquet`` or ``screen.parquet`` cannot be read.
    """
    made = make_space(study, subject.card)
    table = ResultsTable(folder.trials, lambda: notes_of(study, subject))
    if isinstance(made, Space):
        return OpenStudy(study=study, folder=folder, subject=subject, space=made, table=table)
    pending = OpenStudy(
        study=study,
        folder=folder,
        subject=subject,
        space=made.stand_in,
        table=table,
        pending=made,
        rule=made.rule,
    )
    return pending.choose_layers()


def reopen(path: Path) -> OpenStudy:
    """Open a study's folder for reading, without its checkpoint or data.

    Raises:
        StudyError: No study there.
        StoreError: A file of it is damaged.
    """
    opened = find_study(path)
    if opened is None:
        raise StudyError(no_study(StudyFolder(path)))
    return opened


def find_study(path: Path) -> OpenStudy | None:
    """The same; None where no study is.

    What is not there of ``study.yaml`` and ``identity.json`` is read from the files of rows.

    Raises:
        StoreError: A file of it is damaged.
    """
    folder = StudyFolder(path)
    notes: Mapping[str, str] = {}
    if not is_there(folder.study) or not is_there(folder.subject):
        notes = ResultsTable(folder.trials).notes() if folder.holds_rows() else {}
        if not notes:
            return None
    check_in_place(folders=[folder.trials])
    study = read_stored(folder) or study_in(notes, folder.trials)
    subject = read_subject(folder.subject) or subject_in(notes, folder.trials)
    if study is None or subject is None:
        return None
    opened = open_study(study, folder, subject)
    return _with_layers_of_rows(opened) if notes else opened


def _with_layers_of_rows(opened: OpenStudy) -> OpenStudy:
    """A study of which rows alone are left: where its layers were chosen by what is gone, those that its rows clip."""
    if opened.pending is None:
        return opened
    clipped = {(clip.layer, clip.module) for row in opened.history() for clip in row.clips}
    order = opened.space.modules.index
    sites = tuple(Site((layer,), module) for layer, module in sorted(clipped, key=lambda at: (at[0], order(at[1]))))
    return replace(opened, space=replace(opened.space, sites=sites), pending=None) if sites else opened


def read_stored(folder: StudyFolder) -> Study | None:
    """The study of an earlier run; None where there is none.

    Raises:
        StoreError: Its file is damaged: torn where YAML goes on to be YAML, say.
    """
    if not is_there(folder.study):
        return None
    try:
        return check_study(read_stored_study(folder))
    except StoreError:
        raise
    except ClipsweepError as error:
        raise StoreError(f"{folder.study} is not a study of this clipsweep: {error} {MEND_STUDY}") from error


def write_study(opened: OpenStudy) -> None:
    """Write the resolved study, and what its names stand for, into its folder."""
    write_text(opened.folder.study, opened.study.to_yaml(), within=opened.folder.path)
    write_subject(opened.folder.subject, opened.subject)


def read_settings(folder: StudyFolder) -> dict[str, Any]:
    """The study file of an earlier run; empty where there is none.

    Raises:
        StoreError: It is damaged.
    """
    return read_stored_study(folder) if is_there(folder.study) else {}
