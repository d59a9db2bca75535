"""clipsweep from Python: what ``import clipsweep`` offers, and what the command line calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsweep.analysis.row.row import SCHEMA, StoredRow
from clipsweep.analysis.winners.pareto import front_document, pareto_front, rate_points
from clipsweep.analysis.winners.standings import winners_document
from clipsweep.orchestrator.folder.open_study import default_folder, reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.source.overrides import Override
from clipsweep.orchestrator.status.answer import apply_command, describe_front, describe_winner, study_notes
from clipsweep.orchestrator.status.status import read_status
from clipsweep.orchestrator.status.steps import describe_steps, step_gains
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.base.os_words import check_output
from clipsweep.trials.export.recipe import Format
from clipsweep.trials.models.settings import Dtype
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import VALIDATION

if TYPE_CHECKING:
    import pandas

    from clipsweep.analysis.theory.theory import Theory
    from clipsweep.analysis.winners.turned import Flips
    from clipsweep.orchestrator.evaluation.evaluation import Evaluation

StudySource = str | Path | Mapping[str, Any] | Study


def load_studies(study: StudySource, **overrides: Any) -> list[Study]:
    """Read and check a study; a file with a list of ``tasks`` is a study for each of them.

    Args:
        study: Path of a YAML file, a shipped name such as ``"quickstart"``, what such a file holds, or a checked study.
        overrides: Keys of the study. A mapping replaces single keys of a section and leaves the others:
            ``space={"shots": [4]}`` is ``--set 'space.shots=[4]'``.

    Raises:
        StudyError: No such study, an unknown key, a wrong value.
    """
    if isinstance(study, Study):
        return read_studies(study.model_dump(), _dotted(overrides)) if overrides else [study]
    return read_studies(study, _dotted(overrides))


def load_study(study: StudySource, **overrides: Any) -> Study:
    """Read and check a study that has one task; nothing is loaded.

    Args:
        study: As in ``load_studies``.
        overrides: As in ``load_studies``; ``task={"name": ...}`` picks one of several tasks.

    Raises:
        StudyError: No such study, an unknown key, a wrong value, or several tasks.
    """
    studies = load_studies(study, **overrides)
    if len(studies) > 1:
        names = ", ".join(each.task.name for each in studies)
        raise StudyError(
            f"the study has {len(studies)} tasks: {names}; expected one. Pick it with task={{'name': ...}}, or take "
            f"load_studies, which gives a study for each."
        )
    return studies[0]


def run(
    study: StudySource,
    *,
    dir: str | Path | None = None,
    quiet: bool = False,
    verify_hashes: bool = False,
    retry_failed: bool = False,
    **overrides: Any,
) -> StudyHandle:
    """Run a study, or resume it: what is known is not run again. Shows progress on standard error, or in the notebook.

    Ctrl-C finishes and stores what is in flight; a second one ends it at once. Either way the study is returned, with
    ``interrupted`` set, and can be run again. In another thread than the main one no signal is watched.

    Args:
        study: As in ``load_studies``; it must have one task.
        dir: Where the study lives; default ``studies/NAME``.
        quiet: Whether nothing is shown while it runs.
        verify_hashes: Whether all files of the model are read, whatever is remembered of their hashes.
        retry_failed: Whether trials that took their replica with them three times are tried again.
        overrides: As in ``load_studies``, for example ``cluster={"replicas": 0}`` to run in this process, without Ray.

    Returns:
        The study. A trial that fails is no error: ``status()`` counts them, and running again tries them again, those
        apart that took their replica with them three times.

    Raises:
        ClipsweepError: Bad input, a busy study, or replicas that cannot be had.
    """
    from rich.console import Console

    from clipsweep.orchestrator.run.session import run_study

    checked = load_study(study, **overrides)
    folder, console = _folder(checked, dir), Console(stderr=True, quiet=quiet)
    outcome = run_study(
        checked, folder, default_cache(), console, verify_hashes=verify_hashes, retry_failed=retry_failed
    )
    return StudyHandle(outcome.snapshot, interrupted=outcome.interrupted)


def plan(
    study: StudySource, *, dir: str | Path | None = None, verify_hashes: bool = False, **overrides: Any
) -> dict[str, Any]:
    """What ``run`` would run: trials, operations, hours and memory expected. No model is loaded, nothing is written.

    Args:
        study: As in ``run``.
        dir: As in ``run``.
        verify_hashes: As in ``run``.
        overrides: As in ``load_studies``.

    Returns:
        The document of ``clipsweep run --dry-run --json``.

    Raises:
        ClipsweepError: Anything that cannot be run.
    """
    from clipsweep.orchestrator.plan.estimate import plan_study

    checked = load_study(study, **overrides)
    return plan_study(checked, _folder(checked, dir), default_cache(), verify_hashes=verify_hashes)


def check(study: StudySource, *, dir: str | Path | None = None, verify_hashes: bool = False, **overrides: Any) -> None:
    """Check all that can be checked before a run: names, rows, and the prompts of the trials to come.

    Args:
        study: As in ``run``.
        dir: As in ``run``.
        verify_hashes: As in ``run``.
        overrides: As in ``load_studies``.

    Raises:
        ClipsweepError: Anything that cannot be run.
    """
    from clipsweep.orchestrator.run.session import check_run

    checked = load_study(study, **overrides)
    check_run(checked, _folder(checked, dir), default_cache(), verify_hashes=verify_hashes)


def evaluate(
    model: str | Path | Mapping[str, Any],
    *,
    task: str | Path | Mapping[str, Any],
    shots: int | Sequence[int] | None = None,
    demo_seeds: int | Sequence[int] | None = None,
    split: str = VALIDATION,
    clips: Sequence[Clip] = (),
    against: str | Path | None = None,
    **cluster: Any,
) -> Evaluation:
    """Score a checkpoint on a task, clipped or not, in this process, on its GPU if it has one; nothing is stored.

    Args:
        model: A folder, a hub name or ``"embedded"``; or the section ``model`` of a study, as in ``{"path": ...,
            "dtype": "bfloat16"}``.
        task: A task's name, or a YAML file with a study or a task; or the section ``task`` of a study.
        shots: Demonstrations, a row for each number; default the task's own.
        demo_seeds: Seeds that draw them, a row for each; default 0.
        split: ``"validation"`` or ``"test"``.
        clips: What is clipped, together; nothing for the model as it is.
        against: Another checkpoint to compare with, or ``"untouched"``: the same one without its clips.
        cluster: Keys of that section of a study that one replica heeds: ``microbatch``, ``activation_budget``,
            ``cpus_per_replica``, ``gpus_per_replica``.

    Returns:
        Its ``rows``, as a study would store them, and with ``against`` the rows of that, the ``gains`` by number of
        shots and the ``flips``. A trial that fails is a row with its error.

    Raises:
        ClipsweepError: Bad input, told before any weights are loaded; or a model that does not load.
    """
    from clipsweep.orchestrator.evaluation.evaluation import evaluate_question
    from clipsweep.orchestrator.evaluation.question import ask_of, no_clips, pair_of
    from clipsweep.orchestrator.study.task_section import with_name

    named = with_name(task) if isinstance(task, Mapping) else task
    of_model, of_task = _section(model, "path", "model"), _section(named, "name", "task")
    axes = {"shots": shots, "demo_seeds": demo_seeds}
    given = {"space": {key: value for key, value in axes.items() if value is not None}}
    own = _dotted({"model": of_model, "task": of_task, "cluster": cluster})
    study = ask_of(of_model["path"], of_task["name"], _dotted(given), [each for each in own if each[0] != "task.name"])
    clips_of = (lambda card: tuple(clips)) if clips else no_clips  # noqa: ARG005 - these are told already
    other = None if against is None else str(against)
    return evaluate_question(*pair_of(study, split, clips_of, other), default_cache())


def open_study(dir: str | Path) -> StudyHandle:
    """Open a study that has been run, or is running: for reading, without its checkpoint or data.

    Raises:
        StudyError: No study there.
    """
    return StudyHandle(Snapshot.take(reopen(Path(dir))))


class StudyHandle:
    """A study on disk, to ask. Each question is answered from what is stored by then, also while the study runs.

    Attributes:
        interrupted: Whether the run that gave it was stopped before its end; False where it was only opened.
    """

    def __init__(self, snapshot: Snapshot, *, interrupted: bool = False) -> None:
        """Take what is stored of a study; ``run`` and ``open_study`` make these."""
        self._snapshot = snapshot
        self.interrupted = interrupted

    @property
    def study(self) -> Study:
        """The study as run: what was left open is filled in."""
        return self._snapshot.opened.study

    @property
    def folder(self) -> Path:
        """Where it lives."""
        return self._snapshot.opened.folder.path

    @property
    def metric(self) -> str:
        """Column of scores that points are judged by, such as ``"accuracy"``."""
        return self._snapshot.opened.space.metric

    @property
    def report_file(self) -> Path:
        """Where ``run``, and ``report`` unless it is told otherwise, write the report."""
        return self._snapshot.opened.folder.report

    def status(self) -> dict[str, Any]:
        """Progress, rate, time left and failures.

        Returns:
            The document of ``clipsweep status --json``: ``state`` (``running``, ``done``, ``failed``, ``interrupted``),
            ``done``, ``running``, ``partial``, ``pruned``, ``failed``, ``given_up`` (of those failed) and ``total``
            (trials), ``stopped_by``, ``trials_per_second``, ``rows_per_second``, ``seconds_left``, ``replicas``,
            ``warnings``, ``alive``, ``age_s`` and others, which ``docs/howto/watch.md`` lists.
        """
        return read_status(self._now())

    def best(self) -> dict[str, Any] | None:
        """The winner, its baseline and its gain.

        Returns:
            The document of ``clipsweep best --json``: stored rows ``winner``, ``baseline``, ``winner_test`` and
            ``baseline_test`` of the first demonstration seed; ``metric``, ``score``, ``spread`` and the like over all
            seeds; the ``gain`` (of accuracy, or of text in nats per token), ``trials_considered``,
            ``points_considered``, ``by_shots_and_module``, ``notes``, ``apply`` (the command that writes the winner as
            a checkpoint, None where that is the untouched model), ``front`` where there are two objectives,
            ``steps`` of driver compose; of several tasks in one score ``tasks`` (what each scores) and ``barred`` (a
            better point that breaks a guard, or None). None while there is no winner.
        """
        snapshot = self._now()
        standings = snapshot.standings
        if standings.winner is None or standings.winner.is_alone:
            return None
        document = winners_document(standings, standings.winner) | {"notes": study_notes(snapshot)}
        document["apply"] = apply_command(snapshot)
        if snapshot.opened.two_objectives:
            document["front"] = front_document(pareto_front(rate_points(standings.points, standings.rows)))
        if snapshot.opened.is_composed:
            document["steps"] = [step.document() for step in step_gains(snapshot)]
        return document

    def describe(self) -> str | None:
        """The winner, its baseline and its gain in three lines of text; None while there is no winner.

        Of driver compose a line follows for each step that kept a clip.
        """
        snapshot = self._now()
        winner = snapshot.standings.winner
        if winner is None or winner.is_alone:
            return None
        return "\n".join([describe_winner(snapshot.standings, study_notes(snapshot)), *describe_steps(snapshot)])

    def describe_front(self) -> str | None:
        """The Pareto front, a line of text for each of its points; None where there is one objective."""
        snapshot = self._now()
        return describe_front(snapshot.standings) if snapshot.opened.two_objectives else None

    def stored_rows(self) -> list[StoredRow]:
        """The latest attempt of each trial as it is stored, in the order they finished."""
        rows = self._now().rows
        return [rows.attempts[number] for number in rows.numbers]

    def rows(self) -> pandas.DataFrame:
        """The latest attempt of each trial as a pandas frame, a row each, in the order they finished.

        Returns:
            The stored columns. ``outcomes`` holds an array of booleans, one for each example in the split's order,
            ``margins`` one of float64, or None where a row has none. Times are in UTC.
        """
        import pandas

        unpacked = [row.record() | {"outcomes": row.outcomes, "margins": row.margins} for row in self.stored_rows()]
        return pandas.DataFrame(unpacked, columns=SCHEMA.names)

    def report(self, out: str | Path | None = None) -> Path:
        """Write the HTML report, one file that opens offline.

        Args:
            out: Where to write it; default ``report.html`` in the study's folder.

        Returns:
            Where it lies.

        Raises:
            PlaceError: It cannot be written there.
        """
        from clipsweep.orchestrator.reporting.report_facts import write_study_report  # loads plotly

        path = self.report_file if out is None else Path(out)
        check_output(path, "the report")
        snapshot = self._now()
        return write_study_report(snapshot, lambda: snapshot.opened.load_task(default_cache()), path)

    def flips(self, trial_id: str | None = None, *, split: str | None = None, labels: bool = False) -> Flips:
        """Which examples a stored trial turns against its baseline: texts, labels and margins, in both directions.

        Args:
            trial_id: Its identity, or how that begins; None for the winner's, at its first demonstration seed.
            split: Whose rows; None for the trial's own, of the winner test where that has been run.
            labels: Whether to load the model and evaluate both again, which tells the wrong labels of tasks of more
                than two.

        Raises:
            StudyError: No winner, no such trial, one that failed, the untouched model itself, or no baseline for it.
            TaskError: The task's rows cannot be had, or have changed since the study ran.
            ModelError: The labels are asked for, and the model is not there any more.
        """
        from clipsweep.orchestrator.evaluation.stored import stored_flips  # loads what replicas are told with

        return stored_flips(self._now(), default_cache(), trial_id, split, labels=labels)

    def theory(self) -> Theory:
        """Whether the paper's theory predicts what clips gain, of a study with ``theory: true``.

        Returns:
            ``changes`` (what each trial changed), ``predictions`` (rank correlations with the gain, with bootstrap
            intervals, of the theory's quantities and of simpler ones), ``reach`` (how many blocks a clip changes), and
            ``document()``, which is that of ``clipsweep theory --json``.

        Raises:
            StudyError: The study did not ask for it, or too few trials were measured.
            StoreError: A file of it is damaged.
        """
        from clipsweep.orchestrator.theory.read import theory_of

        return theory_of(self._now())

    def apply(
        self,
        out: str | Path,
        *,
        trial: str | None = None,
        format: Format = "dense",
        dtype: Dtype | None = None,
        check: bool = False,
    ) -> dict[str, Any]:
        """Write the winner, or another trial, as a checkpoint of its own.

        Args:
            out: Its folder, which must not be there or be empty.
            trial: Identity of a trial, or its first digits; None for the winner.
            format: ``"dense"``: a checkpoint as transformers has it. ``"factored"``: clipped matrices as two thin
                factors where that is smaller, for ``clipsweep.load_factored``.
            dtype: Of its files; None for the study's.
            check: Whether it is loaded, scored on the rows of its trials, and compared with what is stored.

        Returns:
            The document of ``clipsweep apply --json``: ``out``, ``format``, ``dtype``, ``clips``, ``changed`` and
            ``kept_whole`` (names of parameters), ``texts_of`` (None, or the trial whose texts told what matrices
            read), ``weight_bytes``, ``seconds``, and ``check``: None, or ``differ`` (examples answered otherwise than
            stored) and ``trials``, the same for each. In another dtype than the study's ``check`` is always there.

        Raises:
            ClipsweepError: There is no winner or no such trial, the model's files have changed since, or the
                checkpoint cannot be written; then nothing is left of it.
        """
        from clipsweep.orchestrator.take_home.apply import Wish, apply_study

        wish = Wish(out=Path(out), format=format, dtype=dtype, check=check)
        return apply_study(self._now(), trial, wish, default_cache())

    def apply_command(self) -> str | None:
        """The command that writes the winner as a checkpoint; None while there is none but the untouched model."""
        return apply_command(self._now())

    def __repr__(self) -> str:
        return f"<study {self.study.name!r} in {self.folder}>"

    def _now(self) -> Snapshot:
        """What is stored by now; the same snapshot as before where nothing has been added."""
        opened = self._snapshot.opened.choose_layers()
        history = opened.history()
        if opened is not self._snapshot.opened or history is not self._snapshot.history:
            self._snapshot = Snapshot(opened=opened, history=history)
        return self._snapshot


def _folder(study: Study, named: str | Path | None) -> Path:
    return default_folder(study) if named is None else Path(named)


def _section(given: str | Path | Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    """A section of a study: as it is given, or as the one key that stands for it.

    Raises:
        StudyError: It lacks that key.
    """
    section = dict(given) if isinstance(given, Mapping) else {key: str(given)}
    if key not in section:
        raise StudyError(f"{name} has no key {key!r}; expected it beside {', '.join(section) or 'no other'}.")
    return section


def _dotted(overrides: Mapping[str, Any]) -> list[Override]:
    """Overrides with dotted keys, as ``--set`` takes them."""
    pairs: list[Override] = []
    for key, value in overrides.items():
        if isinstance(value, Mapping):
            pairs += [(f"{key}.{inner}", each) for inner, each in value.items()]
        else:
            pairs.append((key, value))
    return pairs
