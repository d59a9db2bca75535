"""The section ``task``: which task and which of its rows, or a task of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from clipsweep.orchestrator.study.section import ONE_IS_A_LIST, Count, Names, Positive, Says, Section, Text
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.rows.template import columns_of
from clipsweep.trials.scores.metrics import MACRO_F1, OF_ANSWERS
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import Source, Splits, TaskDefinition, Wording
from clipsweep.trials.tasks.release import has_variants
from clipsweep.trials.tasks.settings import DEFAULT_LENGTH, PAPER, TextSettings, TextSplits, Variant
from clipsweep.trials.tasks.table import PAPER_TASKS


class DataSection(Section):
    """Where the rows of a user's own task come from."""

    path: Text
    config: Text | None = None
    revision: Text | None = None


class SplitsSection(Section):
    """Which split of the data each of ours is taken from."""

    demonstrations: str = "train"
    validation: str = "train"
    test: str | None = "train"


Value = str | int | float | bool | date | None  # of a column, as YAML has it; None where there is none
LABELS = "a list of two label words or more, or a mapping of the rows' labels to them, as in {0: ' no', 1: ' yes'}"
WORDS = "of each column a mapping of its values to words, as in {question: {cause: because, effect: so}}"
Answers = Annotated[list[str], Field(min_length=2), ONE_IS_A_LIST]


class DefinitionSection(Section):
    """A task of the user's own: data, wording, answers, splits, metric."""

    data: DataSection
    query: str
    labels: Annotated[Answers | Annotated[dict[Value, str], Field(min_length=2)] | None, Says(LABELS)] = None
    candidates: Annotated[Answers | None, Says("a list of two texts or more that name columns")] = None
    answer: Text | None = None
    end_of_answer: bool = False
    label_column: str = "label"
    demonstration: str | None = None
    alone: str | None = None
    words: Annotated[dict[str, dict[Value, str]], Says(WORDS)] = {}
    splits: SplitsSection = SplitsSection()
    demonstrations: Positive | None = None
    validation_size: Positive | None = None
    shots: Count = 10
    metric: Annotated[str, Names(OF_ANSWERS)] = "accuracy"
    function: Text | None = None
    distinct: bool = False

    def define(self) -> TaskDefinition:
        """The definition as the value that replicas take.

        Raises:
            StudyError: Not one of labels, candidates and answer; all answers the same; two words for one value; an open
                answer with a metric that it has not, or with a label column.
            TaskError: A template that is malformed.
        """
        self._check_answers()
        words, classes = self._classes()
        wording = Wording(
            query=self.query,
            answers=words if self.labels is not None else tuple(self.candidates or [self.answer or ""]),
            demonstration=self.demonstration,
            alone=self.alone,
            words={column: _by_text(words.items(), f"words.{column}") for column, words in self.words.items()},
        )
        return TaskDefinition(
            source=Source(**self.data.model_dump()),
            wording=wording,
            classes=classes,
            splits=Splits(**self.splits.model_dump()),
            demonstrations=self.demonstrations,
            validation_size=self.validation_size,
            shots=self.shots,
            label_column=self.label_column,
            scoring=self._scoring,
            metric=self.metric,
            function=self.function,
            distinct=self.distinct,
            end_of_answer=self.end_of_answer,
        )

    @property
    def _scoring(self) -> Scoring:
        if self.answer is not None:
            return Scoring.GREEDY
        return Scoring.LOGLIKELIHOOD if self.candidates is None else Scoring.MEAN_LOGLIKELIHOOD

    def _check_answers(self) -> None:
        """Refuse answers that are said in two ways, or not at all, and what an open answer has not."""
        if sum(said is not None for said in (self.labels, self.candidates, self.answer)) != 1:
            raise StudyError(
                "study key 'task.definition' needs either labels (label words, the same for every row), candidates "
                "(texts that name columns) or answer (one text that names columns); give one of the three."
            )
        if self.answer is None:
            return
        if not columns_of(self.answer):
            raise StudyError(
                f"study key 'task.definition.answer' is {self.answer!r}, the same for every row; expected a text that "
                f"names a column, as ' {{target}}'. For answers to choose among give labels."
            )
        if self.metric == MACRO_F1:
            raise StudyError(
                f"study key 'task.definition.metric' is {MACRO_F1!r}, which an open answer has not, as there are no "
                f"classes; expected 'accuracy' or 'gold_logprob'."
            )
        if self.label_column != "label":
            raise StudyError(
                f"study key 'task.definition.label_column' is {self.label_column!r}, but an open answer is read from "
                f"the columns that task.definition.answer names; expected none. Remove the key."
            )

    def _classes(self) -> tuple[tuple[str, ...], dict[str, int]]:
        """The answers that differ, and of each label the number of its own; both empty where the answer is open."""
        words = self.labels or self.candidates or []
        labels = _by_text(words.items() if isinstance(words, dict) else enumerate(words), "labels")
        answers = tuple(dict.fromkeys(labels.values()))
        if len(answers) == 1:
            raise StudyError(
                f"study key 'task.definition' has no answer but {answers[0]!r}; expected two or more that differ."
            )
        return answers, {text: answers.index(word) for text, word in labels.items()}


def _by_text(words: Iterable[tuple[Value, str]], key: str) -> dict[str, str]:
    """Words by the text of a value, as rows have it: true and false in any of their spellings, none as empty text.

    Raises:
        StudyError: Two values with one text and two words.
    """
    found: dict[str, str] = {}
    for value, word in words:
        for text in _texts(value):
            if found.setdefault(text, word) != word:
                raise StudyError(
                    f"study key 'task.definition.{key}' has two words for {text!r}, {found[text]!r} and {word!r}; "
                    f"expected one. Remove one of them."
                )
    return found


def _texts(value: Value) -> list[str]:
    if isinstance(value, bool):  # pandas writes True into CSV, JSON true; to YAML they are the same
        return [str(value).lower(), str(value), str(value).upper()]
    return ["" if value is None else str(value)]


class HarnessSection(Section):
    """A task of lm-evaluation-harness."""

    name: Text
    include_path: Text | None = None
    folder: Text | None = None
    metric: Text | None = None


class TextSplitsSection(Section):
    """Which split of a folder or of the hub each of ours is read from."""

    validation: Text
    test: Text | None = None


class TextSection(Section):
    """Text whose every token is scored."""

    path: Text
    column: Text = "text"
    config: Text | None = None
    revision: Text | None = None
    splits: TextSplitsSection | None = None
    length: Annotated[int, Field(ge=2), Says("2 tokens or more")] = DEFAULT_LENGTH
    stride: Positive | None = None

    def settings(self) -> TextSettings:
        """The section as the value that replicas take."""
        splits = None if self.splits is None else TextSplits(**self.splits.model_dump())
        return TextSettings(**{**self.model_dump(), "splits": splits})


def _as_path(value: Any) -> Any:
    """Take a text for the path of a file, a folder or a hub name."""
    return {"path": value} if isinstance(value, str) else value


def _as_name(value: Any) -> Any:
    """Take a text for the name of a harness's task."""
    return {"name": value} if isinstance(value, str) else value


HARNESS = "the name of a task of lm-evaluation-harness, or {name: hellaswag, include_path: a folder, metric: acc_norm}"
TEXT = "a file, a folder or a hub name, or {path: one of these, column: text, length: 1024}"
WEIGHTED = "a list of one task or more, each with a weight, as in [{name: sst2, weight: 1}, {name: rte, weight: 0.5}]"
Weight = Annotated[float, Field(ge=0), Says("a number of 0 or more")]
WAYS = (
    "definition",
    "lm_eval",
    "text",
)  # keys that say what a task is where it is none of clipsweep's own: one at most


def with_name(content: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the section; a harness's task is called as the harness does, and text ``text``, if by no other name.

    One that the harness calls as the paper does its own, such as ``rte``, is ``harness-rte``: the paper's published
    scores are found by that name, and its prompts are others.
    """
    held = content.get("lm_eval")
    called = held.get("name") if isinstance(held, dict) else held
    if isinstance(called, str) and called in PAPER_TASKS:
        called = f"harness-{called}"
    if content.get("text") is not None:
        called = "text"
    return dict(content) if called is None else {"name": called, **content}


class TaskSection(Section):
    """Which task, and which of its rows."""

    name: Text
    variant: Variant = PAPER
    path: Text | None = None
    validation_size: Positive | None = None
    test_size: Count | None = None
    demonstrations: Positive | None = None
    seed: int | None = None
    truncate: Literal["error", "demonstrations"] = "error"
    definition: DefinitionSection | None = None
    lm_eval: Annotated[HarnessSection | None, BeforeValidator(_as_name), Says(HARNESS)] = None
    text: Annotated[TextSection | None, BeforeValidator(_as_path), Says(TEXT)] = None

    @model_validator(mode="before")
    @classmethod
    def name_it(cls, content: Any) -> Any:
        """Give a task its name, where the way of making it tells one."""
        return with_name(content) if isinstance(content, dict) else content

    @property
    def ways(self) -> list[str]:
        """Keys that say what the task is; none for one of clipsweep's own."""
        return [key for key in WAYS if getattr(self, key) is not None]

    @property
    def shown_variant(self) -> str | None:
        """Its variant, where the task has more than one."""
        return self.variant if has_variants(self.name) and not self.ways else None


class WeightedSection(TaskSection):
    """One of several tasks in a score: what a task section holds, and what it counts."""

    weight: Weight = 1.0
    shots: Count | None = None


class StudyTaskSection(TaskSection):
    """The task of a study, or several in one score."""

    weighted: Annotated[list[WeightedSection] | None, Field(min_length=1), Says(WEIGHTED)] = None

    @model_validator(mode="before")
    @classmethod
    def name_them(cls, content: Any) -> Any:
        """Call several tasks by all their names, where no other name is given."""
        held = content.get("weighted") if isinstance(content, dict) else None
        if not isinstance(held, list) or "name" in content:
            return content
        named = [with_name(each) for each in held if isinstance(each, dict)]
        return {"name": "+".join(str(each["name"]) for each in named if "name" in each) or "none", **content}

    @property
    def members(self) -> Sequence[TaskSection]:
        """The tasks in the study's score: one, or several."""
        return [self] if self.weighted is None else self.weighted

    def member(self, name: str) -> TaskSection:
        """The one of them that has this name; the first where none has."""
        return next((each for each in self.members if each.name == name), self.members[0])
