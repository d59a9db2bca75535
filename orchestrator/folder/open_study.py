"""Everything that is checked, and everything that is learnt, before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from clipsweep.analysis.store.spectrum_file import SpectrumFile
from clipsweep.analysis.store.table import ResultsTable, Row, RowContext
from clipsweep.analysis.winners.winner import Point
from clipsweep.orchestrator.drivers.bayes.encoding import Encoding
from clipsweep.orchestrator.drivers.races import LEAST_ROWS
from clipsweep.orchestrator.folder.subject import Identity
from clipsweep.orchestrator.folder.warm_start import check_warm_start
from clipsweep.orchestrator.space.choices import choices_of_rows
from clipsweep.orchestrator.space.space import Choice, Space
from clipsweep.orchestrator.study.check_search import check_sampler
from clipsweep.orchestrator.study.schema import BAYES, Study, check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.files import factors_limit_bytes, write_text
from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.spec.trial import TrialSpec
from clipsweep.trials.tasks.load import default_seed, define_task, load_task
from clipsweep.trials.tasks.settings import PAPER
from clipsweep.trials.tasks.task import Task

AUTO_MICROBATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStudy:
    """A study, its folder, and what its names stand for.

    Attributes:
        study: As run: ``auto`` sizes resolved.
        folder: Where it lives on disk.
        identity: Of model and task.
        space: Its points.
        table: Its rows.
    """

    study: Study
    folder: Path
    identity: Identity
    space: Space
    table: ResultsTable

    @property
    def tested(self) -> bool:
        """Whether the task has a test split."""
        return bool(self.identity.split_sizes.get("test"))

    @property
    def two_objectives(self) -> bool:
        """Whether a Pareto front is what it is after."""
        return len(self.study.search.objectives) > 1

    @property
    def spectrum(self) -> SpectrumFile:
        """Condition numbers of its model, as far as they have been measured."""
        card = self.identity.card
        return SpectrumFile(self.folder / "spectrum.parquet", card.fingerprint, card.dtype)

    def points(self, rows: Mapping[str, Row]) -> list[Point]:
        """The points of the space that have stored rows, with their trials.

        Args:
            rows: Latest attempt at each trial.
        """
        choices = None
        if self.study.search.driver == BAYES:
            choices = [choice for choice in choices_of_rows(self.space, rows.values()) if choice.clips]
        card, task = self.identity.card, self.identity.task_fingerprint
        return self.space.points(card, task, tested=self.tested, choices=choices, stored=rows)

    def baselines(self, rows: Mapping[str, Row]) -> set[str]:
        """Identities of the untouched model's validation trials that have rows, whether or not it can win."""
        card, task = self.identity.card, self.identity.task_fingerprint
        proposals = [each for shots in self.space.shots for each in self.space.proposals_of(Choice(shots, ()))]
        return {identity for each in proposals if (identity := trial_id(each.spec, card, task)) in rows}

    def row_context(self) -> RowContext:
        """What all its rows have in common."""
        return RowContext(
            study=self.study.name,
            model_fingerprint=self.identity.card.fingerprint,
            dtype=self.identity.card.dtype,
            variant=self.study.task.variant,
            task_fingerprint=self.identity.task_fingerprint,
            parameters_total=self.identity.card.parameters_total,
        )


def default_folder(study: Study) -> Path:
    """Where a study lives unless ``--dir`` says otherwise."""
    return Path("studies") / study.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An open study with what only a run needs.

    Attributes:
        opened: The study.
        checkpoint: Folder of the model.
        task: The task with its rows.
    """

    opened: OpenStudy
    checkpoint: Path
    task: Task


def prepare(study: Study, folder: Path, cache: Path) -> Prepared:
    """Resolve a study's names and check it against what its folder holds; nothing is written to the folder.

    Raises:
        ClipsweepError: Anything in the study that cannot be run, or that contradicts the stored rows.
    """
    factors_limit_bytes()
    checkpoint = find_checkpoint(study.model_settings(), cache)
    card = describe_checkpoint(checkpoint, study.model.dtype, cache)
    resolved = _resolve(study, folder)
    space = Space.of(resolved, card)
    task = load_task(resolved.task_settings(), cache)
    _check_race(resolved, len(task.splits["validation"]))
    identity = Identity(
        card=card,
        task_fingerprint=task.fingerprint,
        split_sizes={split: len(rows) for split, rows in task.splits.items()},
        dropped=dict(task.dropped),
    )
    opened = OpenStudy(study=resolved, folder=folder, identity=identity, space=space, table=ResultsTable(folder))
    opened = settle(opened)
    if study.search.driver == BAYES:
        check_sampler(study.search.sampler, Encoding(space).parameters)
        check_warm_start(resolved, identity)
    recheck(opened)
    return Prepared(opened=opened, checkpoint=checkpoint, task=task)


def _check_race(study: Study, n_rows: int) -> None:
    """Refuse a race whose first rung would say nothing."""
    if study.search.race is not None and n_rows < LEAST_ROWS:
        raise StudyError(
            f"search.race is {study.search.race!r}, but validation has {n_rows} rows; expected {LEAST_ROWS} or more. "
            f"Raise task.validation_size, or remove search.race."
        )


def settle(opened: OpenStudy) -> OpenStudy:
    """The study with the layers that its stored condition numbers choose, where it wants that and all are there.

    Raises:
        StoreError: ``spectrum.parquet`` cannot be read.
    """
    if opened.space.rule is None:
        return opened
    return replace(opened, space=opened.space.settle(opened.spectrum.conditions()))


def recheck(opened: OpenStudy) -> None:
    """Look again, now that the study is locked, whether its folder still fits.

    Raises:
        StudyError: Another study was run there meanwhile.
    """
    if rows := opened.table.read():
        _check_against(opened.folder, opened.study, opened.identity, rows)


def check_trials(prepared: Prepared, specs: Iterable[TrialSpec]) -> list[str]:
    """Check the prompts of the trials to come, so that none is found wanting once replicas run.

    Returns:
        What the user should know: demonstrations that have no room, a line for each shots, seed and split.

    Raises:
        TaskError: A label word without tokens, too few rows for the shots, a prompt longer than the context.
    """
    wanted = {spec.prompt_set for spec in specs}
    if prepared.opened.tested:
        wanted |= {replace(prompt_set, split="test") for prompt_set in wanted}
    if not wanted:
        return []
    from clipsweep.trials.models.load import load_tokenizer
    from clipsweep.trials.tasks.encode import check_prompts

    tokenizer = load_tokenizer(prepared.checkpoint)
    context = prepared.opened.identity.card.context_length
    notes = []
    for each in sorted(wanted, key=astuple):
        fitting = check_prompts(prepared.task, tokenizer, each, context)
        if fitting < each.shots:
            notes.append(
                f"{each.split}, {each.shots} shots, seed {each.demo_seed}: {fitting} demonstrations are in the prompt; "
                f"more do not fit in {context} tokens (task.truncate: {prepared.task.truncate})"
            )
    return notes


def write_study(opened: OpenStudy) -> None:
    """Write the resolved study and its identity into its folder."""
    write_text(opened.folder / "study.yaml", opened.study.to_yaml())
    opened.identity.write(opened.folder)


END = "end.json"


def write_end(folder: Path, stopped_by: str | None) -> None:
    """Note that a study has come to its end, and by which stopping rule, if by one."""
    write_text(folder / END, json.dumps({"stopped_by": stopped_by}))


def forget_end(folder: Path) -> None:
    """Forget that it has ended, as it is run again."""
    (folder / END).unlink(missing_ok=True)


def read_end(folder: Path) -> dict[str, str | None] | None:
    """How a study ended: ``stopped_by``; None while it has not."""
    path = folder / END
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def reopen(folder: Path) -> OpenStudy:
    """Open a study's folder for reading, without its checkpoint or data.

    Raises:
        StudyError: No study there.
    """
    path, identity = folder / "study.yaml", Identity.read(folder)
    if not path.is_file() or identity is None:
        raise StudyError(f"{folder} holds no study; expected the folder that 'clipsweep run' named (study.yaml in it).")
    study = check_study(yaml.safe_load(path.read_text(encoding="utf-8")))
    space = Space.of(study, identity.card)
    opened = OpenStudy(study=study, folder=folder, identity=identity, space=space, table=ResultsTable(folder))
    return settle(opened)


def _resolve(study: Study, folder: Path) -> Study:
    """Fix what a study leaves open: to the task's and variant's defaults, and the microbatch to what ran before."""
    settings = study.task_settings()
    stored = _stored_settings(folder).get("cluster", {}).get("microbatch", AUTO_MICROBATCH)
    microbatch = stored if study.cluster.microbatch == "auto" else study.cluster.microbatch
    seed = default_seed(settings) if settings.seed is None else settings.seed
    shots = [define_task(settings).shots] if study.space.shots is None else study.space.shots
    demo_seeds = [0] if study.space.demo_seeds is None and settings.variant == PAPER else study.space.demo_seeds
    return study.model_copy(
        update={
            "task": study.task.model_copy(update={"seed": seed}),
            "space": study.space.model_copy(update={"shots": shots, "demo_seeds": demo_seeds}),
            "cluster": study.cluster.model_copy(update={"microbatch": microbatch}),
        }
    )


def _stored_settings(folder: Path) -> dict[str, Any]:
    """The study.yaml of an earlier run; empty where there is none."""
    path = folder / "study.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _check_against(folder: Path, study: Study, identity: Identity, rows: list[Row]) -> None:
    """Refuse a study that would mix its rows with those of another model, task or name."""
    stored = rows[-1]
    asked: dict[str, Any] = {
        "study": study.name,
        "dtype": study.model.dtype,
        "model_fingerprint": identity.card.fingerprint,
        "task": study.task.name,
        "variant": study.task.variant,
        "task_fingerprint": identity.task_fingerprint,
    }
    different = {key: (stored[key], value) for key, value in asked.items() if stored[key] != value}
    if not different:
        return
    before = _stored_settings(folder)
    for section in ("model", "task"):
        for key, value in getattr(study, section).model_dump().items():
            if section in before and before[section].get(key) != value:
                different[f"{section}.{key}"] = (before[section].get(key), value)
    lines = [f"  {key}: stored {stored_value!r}, asked for {now!r}" for key, (stored_value, now) in different.items()]
    raise StudyError(
        f"{folder} holds {len(rows)} rows of another study:\n"
        + "\n".join(lines)
        + "\nExpected the same model, task and name. Give the new study another name, or another --dir."
    )
