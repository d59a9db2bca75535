"""lm-evaluation-harness itself: its tasks found, checked and opened, and the requests that they build."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, nullcontext
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from traceback import walk_tb
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.harness.asked import Asked, Counting
from clipsweep.trials.harness.failures import Failed, Heard, cause_of
from clipsweep.trials.harness.metrics import check_config
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.tasks.definition import place_words
from clipsweep.trials.tasks.settings import HarnessSettings

PACKAGE = "lm_eval"
SEED = 1234  # the harness's own default for demonstrations, lm_eval.defaults.DEFAULT_OTHER_SEED
FIRST_N = "first_n"  # the sampler that takes the first documents, whatever the seed
NEAREST = 5
SPLIT_KEYS = ("training_split", "validation_split", "test_split", "fewshot_split")
NOT_OF_PROMPTS = ("metadata", "dataset_path", "dataset_name", "dataset_kwargs", "num_fewshot", "task_alias", "tag")


class HarnessTask:
    """One task of the harness, open: its documents are read."""

    def __init__(self, task: Any) -> None:
        """Take a task as the harness opens it."""
        self._task = task
        self.name: str = task.config.task

    @property
    def config(self) -> Mapping[str, Any]:
        """The keys of its YAML file, functions resolved."""
        held: Mapping[str, Any] = vars(self._task.config)
        return held

    @property
    def shots(self) -> int:
        """Demonstrations in a prompt unless the user says otherwise."""
        return int(self.config["num_fewshot"] or 0)

    @property
    def sources(self) -> dict[str, str]:
        """Its own names of the documents for validation and for test, those that it has; the harness takes the last."""
        named = {VALIDATION: self.config["validation_split"], TEST: self.config["test_split"]}
        return {split: source for split, source in named.items() if source is not None}

    @property
    def takes_first(self) -> bool:
        """Whether its demonstrations are its first documents, the same for every seed."""
        return str(self._task.fewshot_cfg.sampler) == FIRST_N

    def fixes_demonstrations(self, source: str) -> bool:
        """Whether all documents of one of ``sources`` have the same demonstrations, none of which is the document."""
        return self.takes_first and self._task.fewshot_cfg.split != source

    @property
    def demonstrations(self) -> Sequence[Mapping[str, Any]]:
        """Documents that demonstrations are drawn from."""
        return list(self._task.sampler.df)

    def ask(self, split: str, shots: int, demo_seed: int, counting: Counting) -> list[Asked]:
        """What the harness asks of all documents of a split, in its own order.

        Demonstrations are drawn document by document from one generator, so that those of a document depend on how
        many come before it: all are asked for, as the harness does without a limit.

        Args:
            split: Of ours; one of ``sources``.
            shots: Demonstrations in each prompt.
            demo_seed: 0 for the harness's own seed of demonstrations, 1234; others are counted from it.
            counting: What is needed of the requests.

        Raises:
            TaskError: Fewer documents than demonstrations, or a document that does not fit the task's templates.
        """
        with self._evaluating(split), _hushed():
            self._check_shots(shots, demo_seed)
            self._task.set_config("num_fewshot", shots)
            self._task.set_fewshot_seed(SEED + demo_seed)
            with _border(f"requests of harness task {self.name!r} cannot be built"):
                self._task.build_all_requests()
                return [self._read(split, number, each, counting) for number, each in self._by_document()]

    def _by_document(self) -> Iterator[tuple[int, list[Any]]]:
        """The requests of each document, with its number."""
        for number, members in groupby(self._task.instances, key=lambda instance: instance.doc_id):
            yield number, list(members)

    def _read(self, split: str, number: int, instances: Sequence[Any], counting: Counting) -> Asked:
        task, doc = self._task, instances[0].doc
        pairs = [(each.args[0], each.args[1]) for each in instances]
        where = place_words(self.sources[split], number, self.name)
        if self.config["output_type"] != "multiple_choice":
            return counting.read(pairs, None, None, where)
        right = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
        return counting.read(pairs, task.doc_to_choice(doc), right, where)

    @contextmanager
    def _evaluating(self, split: str) -> Iterator[None]:
        """Let the harness evaluate the documents of a split, and leave out of its demonstrations the document itself.

        It takes the test's documents where there are some. What it evaluates by itself is left as it is.
        """
        config = self._task.config
        before, shots = config.test_split, config.num_fewshot
        if split == VALIDATION and before is not None:
            config.test_split = None if self._task.fewshot_cfg.split is None else config.validation_split
        try:
            yield
        finally:
            config.test_split, config.num_fewshot = before, shots

    def _check_shots(self, shots: int, demo_seed: int) -> None:
        """Refuse demonstrations that there are not, and seeds that draw nothing."""
        if not shots:
            return
        if self.config["num_fewshot"] == 0:
            raise TaskError(
                f"{shots} shots are asked for, but harness task {self.name!r} fixes num_fewshot at 0, and the harness "
                f"heeds that; expected 0. Set space.shots: [0], or in task.weighted shots: 0 in its entry."
            )
        if self.takes_first and demo_seed:
            raise TaskError(
                f"demonstration seed {demo_seed} is asked for, but harness task {self.name!r} takes its first "
                f"documents as demonstrations, whatever the seed; expected 0. Set space.demo_seeds: [0]."
            )
        itself = self._task.fewshot_cfg.split == self.config["test_split"]
        have = len(self.demonstrations) - itself
        if shots > have:
            raise TaskError(
                f"{shots} shots are asked for, but harness task {self.name!r} has {have} documents for demonstrations"
                f"{', the document itself left out' * itself}; expected as many or fewer. Lower space.shots."
            )

    def identity(self) -> dict[str, Any]:
        """All that its prompts depend on, as JSON holds it: its keys, and all documents in their order."""
        config = {key: _plain(value) for key, value in self.config.items() if key not in NOT_OF_PROMPTS}
        read = {VALIDATION: self._task.validation_docs, TEST: self._task.test_docs}
        documents = {split: read[split]() for split in self.sources} | {"demonstrations": self.demonstrations}
        return {"config": config} | {split: [_plain(dict(each)) for each in held] for split, held in documents.items()}


class OpenedTasks:
    """What a name of the harness stands for: a task, or the tasks of a group."""

    def __init__(self, tasks: Sequence[HarnessTask], aggregated: Sequence[str] | None) -> None:
        """Take the tasks, and the metrics whose mean the group takes, weighted by size; None for a task."""
        self.tasks, self.aggregated = tasks, aggregated


def open_tasks(settings: HarnessSettings) -> OpenedTasks:
    """Find what a name stands for, and open it: its documents are read.

    Raises:
        TaskError: lm_eval is not installed; an unknown name, a tag, a group without one mean over its documents, a
            task that is not scored here, or documents that cannot be read.
    """
    if find_spec(PACKAGE) is None:
        raise TaskError(
            "task.lm_eval needs lm-evaluation-harness, which is not installed. pip install 'clipsweep[lm-eval]'."
        )
    with _hushed(), nullcontext() if settings.folder is None else chdir(settings.folder):
        return _open(settings)


def files_of(settings: HarnessSettings) -> tuple[tuple[str, int, int], ...]:
    """The user's files that define tasks, each with its time and size; none for the harness's own tasks."""
    if settings.include_path is None:
        return ()
    folder = Path(settings.include_path).expanduser()
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".py"))
    return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in found)


def _open(settings: HarnessSettings) -> OpenedTasks:
    name, manager = settings.name, _manager_for(settings)
    if name not in manager.task_index:
        raise TaskError(_unknown(name, manager.all_tasks, settings))
    entry = manager.task_index[name]
    if entry.kind.name == "TAG":
        raise TaskError(
            f"{name!r} is a tag of the harness, which has no score of its own; expected a task or a group. Take its "
            f"tasks one by one: {', '.join(sorted(entry.tags))}."
        )
    if entry.kind.name != "GROUP" and entry.cfg is not None:
        check_config(name, entry.cfg)  # before its documents are fetched
    with _border(f"harness task {name!r} cannot be opened"):
        loaded = manager.load(name)
    for each in loaded["tasks"].values():
        check_config(each.config.task, vars(each.config))
    tasks = [HarnessTask(each) for each in loaded["tasks"].values()]
    return OpenedTasks(tasks, _aggregated(loaded["groups"][name]) if entry.kind.name == "GROUP" else None)


def _aggregated(group: Any) -> list[str]:
    """Metrics whose mean over all documents is the group's score.

    Raises:
        TaskError: The group has no mean, or weighs its tasks otherwise.
    """
    means = group.aggregate_metric_list or []
    if not means:
        raise TaskError(
            f"harness group {group.name!r} takes no mean over its tasks (aggregate_metric_list); expected one. Take "
            f"its tasks one by one: {', '.join(group.child_names)}."
        )
    weighted = [each.metric for each in means if each.aggregation == "mean" and each.weight_by_size]
    if not weighted:
        raise TaskError(
            f"harness group {group.name!r} weighs its tasks alike, however many documents they have; expected "
            f"weight_by_size: true. Take its tasks with one weight each: task.weighted, with lm_eval for each of "
            f"{', '.join(group.child_names)}."
        )
    return weighted


def _manager_for(settings: HarnessSettings) -> Any:
    """What knows the tasks: those of the user's folder alone where these are enough, as reading all takes seconds."""
    from lm_eval.tasks import TaskManager

    if settings.include_path is None:
        return _own_manager_for(settings.name)
    folder = Path(settings.include_path).expanduser()
    if not folder.is_dir():
        raise TaskError(
            f"task.lm_eval.include_path is {settings.include_path!r}: no such folder; expected one with YAML files of "
            f"harness tasks. It is looked for beside the study's file, then from here."
        )
    alone = TaskManager(include_path=str(folder), include_defaults=False)
    enough = _is_enough(alone.task_index, settings.name)
    return alone if enough else TaskManager(include_path=str(folder))


def _own_manager_for(name: str) -> Any:
    """What knows one of the harness's own tasks: the folder of its file alone, where it is a task and no group."""
    from lm_eval.tasks import TaskManager

    folder = _own_folder(name)
    if folder is not None:
        alone = TaskManager(include_path=str(folder), include_defaults=False)
        entry = alone.task_index.get(name)
        if entry is not None and entry.kind.name == "TASK":
            return alone
    return _own_manager()


def _own_folder(name: str) -> Path | None:
    """Where the harness's own file of a task lies: the first of those that the harness would find, or None."""
    import lm_eval.tasks

    says = re.compile(rf"^[\"']?task[\"']?:\s*[\"']?{re.escape(name)}[\"']?\s*(#.*)?$", re.MULTILINE)
    files = sorted(Path(lm_eval.tasks.__file__).parent.rglob("*.yaml"), key=Path.as_posix)
    return next((path.parent for path in files if says.search(path.read_text(encoding="utf-8"))), None)


@lru_cache(maxsize=1)
def _own_manager() -> Any:
    """What knows the harness's own tasks; reading their YAML files takes ten seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _is_enough(index: Mapping[str, Any], name: str) -> bool:
    """Whether an index holds a name and all that it is made of."""
    if name not in index:
        return False
    members = (index[name].cfg or {}).get("task")
    named = [each if isinstance(each, str) else each.get("task", each.get("group")) for each in members or []]
    return isinstance(members, str) or all(_is_enough(index, str(each)) for each in named)


def _unknown(name: str, known: Sequence[str], settings: HarnessSettings) -> str:
    """Refuse a name with the nearest ones, of thousands."""
    close = difflib.get_close_matches(name, known, n=NEAREST)
    nearest = f" Nearest: {', '.join(close)}." if close else ""
    where = "" if settings.include_path is None else f" and of {settings.include_path}"
    return (
        f"no harness task {name!r} among the {len(known):,} of lm-evaluation-harness{where}.{nearest} "
        f"`lm_eval ls tasks` lists them; tasks of your own go into a folder, task.lm_eval.include_path."
    )


@contextmanager
def _border(refusal: str) -> Iterator[None]:
    """Word whatever goes wrong in the harness: its tasks run code and read data of many authors."""
    heard, logger = Heard(), logging.getLogger(PACKAGE)
    logger.addHandler(heard)
    try:
        yield
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(f"{refusal}{cause_of(error, _failed(error), heard.last)}") from error
    finally:
        logger.removeHandler(heard)


def _failed(error: Exception) -> Failed | None:
    """Where a task of the harness failed; it is given to nobody while it is made, but the traceback holds it."""
    import lm_eval.api.task as module

    found = [(frame.f_code.co_name, frame.f_locals.get("self")) for frame, _ in walk_tb(error.__traceback__)]
    running = [(name, task) for name, task in found if isinstance(task, module.ConfigurableTask)]
    if not running:
        return None
    task: Any = running[-1][1]
    held = vars(task)
    data, config = held.get("dataset"), vars(task.config)
    splits = dict(data) if isinstance(data, module.datasets.DatasetDict) else {}
    named = {key: config[key] for key in SPLIT_KEYS} | {"fewshot_config.split": task.fewshot_cfg.split}
    return Failed(
        config=config,
        named={key: split for key, split in named.items() if split is not None},
        splits=list(splits),
        columns=held.get("features") or [],
        running=[name for name, _ in running],
    )


@contextmanager
def _hushed() -> Iterator[None]:
    """Show no progress bars of the harness, nor what it logs, but where the user wants to see what libraries log."""
    import lm_eval.api.task as module

    module.datasets.disable_progress_bars()
    bar, module.tqdm = module.tqdm, lambda items, **_: items
    heard, logger = Heard(), logging.getLogger(PACKAGE)
    logger.addHandler(heard)  # without one Python itself shows what is logged
    try:
        yield
    finally:
        module.tqdm = bar
        logger.removeHandler(heard)


def _plain(value: Any) -> Any:
    """A value of a config or a document as JSON holds it; of a function its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if callable(value):
        return inspect.getsource(value) if inspect.isfunction(value) or inspect.isclass(value) else type(value).__name__
    if hasattr(value, "__dataclass_fields__"):
        return _plain(vars(value))
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
