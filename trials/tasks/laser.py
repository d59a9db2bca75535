"""The data sets of LASER (Sharma, Ash and Misra, 2024, arXiv:2312.13558) as tasks, and what their rows pass through.

Prompts are those of LASER's own code, read in November 2026; ``docs/tasks.md`` sets side by side what it does and what
we do. All run without demonstrations, for which no rows are set aside, and validate on a fifth of the rows. Columns are
those of the hub's repositories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.values import DataRow, is_missing, text_of
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import Source, Splits, TaskDefinition, Wording

CONVERTED = "refs/convert/parquet"
VALIDATION_SHARE = 0.2
LONGEST_ANSWER = 10  # words; LASER's limit of 15 LLaMA tokens needs a tokenizer, which rows do not have
TRUTH_WORDS = (" false", " true")
VERDICTS = {"REFUTES": 0, "SUPPORTS": 1, "0": 0, "1": 1}  # FEVER's labels by name and by number; others are left out
PROFESSIONS = {  # of the hub's numbers those that LASER keeps, in its order
    "11": " journalist", "20": " poet", "5": " composer", "12": " model",
    "26": " teacher", "1": " architect", "14": " painter", "21": " professor",
}  # fmt: skip
EPISTEMIC = (" entailment", " non-entailment")


def counterfact(row: DataRow) -> list[DataRow]:
    """The prompt of a record, with its subject in the place of ``{}``, and its paraphrases: a row each."""
    asked = _part(row, "requested_rewrite", "prompt", "subject", "target_true")
    prompt = _text(asked, "prompt").replace("{}", _text(asked, "subject"))
    target = _text(_part(asked, "target_true", "str"), "str")
    return [{"prompt": text, "target": target} for text in (prompt, *_column(row, "paraphrase_prompts"))]


def fever(row: DataRow) -> DataRow | None:
    """A claim with a full stop; None where it is neither supported nor refuted."""
    claim = closed(_text(row, "claim"))
    return {**row, "claim": claim} if str(_column(row, "label")) in VERDICTS else None


def biography(row: DataRow) -> DataRow:
    """A biography with a full stop."""
    return {**row, "hard_text": closed(_text(row, "hard_text"))}


def profession(row: DataRow) -> DataRow | None:
    """A biography with a full stop; None where its profession is none of the eight."""
    return biography(row) if str(_column(row, "profession")) in PROFESSIONS else None


def hotpotqa(row: DataRow) -> DataRow | None:
    """A question with its mark; None where the answer has more words than ``LONGEST_ANSWER``."""
    if len(_text(row, "answer").split()) > LONGEST_ANSWER:
        return None
    return {**row, "question": closed(_text(row, "question"), "?")}


def truthfulqa(row: DataRow) -> list[DataRow]:
    """Each of a question's choices as a statement with a full stop, and whether it is true: a row each."""
    question, targets = _text(row, "question"), _part(row, "mc2_targets", "choices", "labels")
    return [
        {"statement": closed(f"{question} {str(choice).strip()}", of="."), "true": label}
        for choice, label in zip(targets["choices"], targets["labels"], strict=True)
    ]


def one_target(row: DataRow) -> DataRow | None:
    """A row of BIG-bench whose one target is a column; None where it has several, or none."""
    targets = _column(row, "targets")
    return {**row, "target": targets[0]} if len(targets) == 1 else None


def closed(text: str, end: str = ".", *, of: str = ".?") -> str:
    """A text with ``end`` after it where it ends in none of the marks ``of``."""
    return text if text.endswith(tuple(of)) else text + end


def _text(row: DataRow, name: str) -> str:
    """A column's text without outer white space.

    Raises:
        TaskError: There is no such column, or nothing in it.
    """
    value = _column(row, name)
    if is_missing(value):
        raise TaskError(f"there is nothing in column {name!r}; expected text. Remove the row or give its text.")
    return text_of(value, name).strip()


def _column(row: DataRow, name: str) -> Any:
    """A column of a row.

    Raises:
        TaskError: There is none.
    """
    if name not in row:
        raise TaskError(f"there is no column {name!r}, but {', '.join(map(str, row))}. Give rows in the hub's columns.")
    return row[name]


def _part(row: DataRow, column: str, *keys: str) -> Mapping[str, Any]:
    """A column that holds other columns.

    Raises:
        TaskError: It holds none, or not these.
    """
    held: Mapping[str, Any] = _column(row, column)
    missing = [key for key in keys if key not in held] if isinstance(held, Mapping) else list(keys)
    if missing:
        raise TaskError(
            f"column {column!r} has no part {missing[0]!r}; expected a mapping with {', '.join(keys)}, as in the hub's "
            f"rows. Give rows in the hub's columns."
        )
    return held


def _task(
    source: Source,
    wording: Wording,
    classes: Mapping[str, int] | None = None,
    *,
    rows: str,
    test: str | None = None,
    function: str | None = None,
    **keys: Any,
) -> TaskDefinition:
    """A task of LASER's: of these splits of its source a fifth is for validation, the rest or ``test`` for the test."""
    return TaskDefinition(
        source=source,
        wording=wording,
        classes=classes or {},
        **{
            "splits": Splits(demonstrations=rows, validation=rows, test=test or rows),
            "validation_share": VALIDATION_SHARE,
            "demonstrations": 0,
            "shots": 0,
            "scoring": Scoring.LOGLIKELIHOOD if classes else Scoring.GREEDY,
            "function": None if function is None else f"{__name__}:{function}",
            **keys,
        },
    )


BIOGRAPHIES = Source(path="LabHC/bias_in_bios")
BIG_BENCH = "tasksource/bigbench"
CONSIDER = "Consider the following text: {hard_text}"

LASER_TASKS: dict[str, TaskDefinition] = {
    "counterfact": _task(
        Source(path="azhx/counterfact"),
        Wording(query="{prompt}", answers=(" {target}",)),
        rows="train+test",
        function="counterfact",
    ),
    "fever": _task(
        Source(path="EleutherAI/fever", config="v1.0", revision=CONVERTED),
        Wording(
            query="Consider the following claim: {claim} Is this claim true or false. The claim is",
            answers=TRUTH_WORDS,
        ),
        VERDICTS,
        rows="paper_dev+paper_test",
        function="fever",
        distinct=True,
    ),
    "bios_gender": _task(
        BIOGRAPHIES,
        Wording(
            query=f"{CONSIDER} Is the person in this text male or female? The person is", answers=(" male", " female")
        ),
        {"0": 0, "1": 1},
        rows="dev",
        function="biography",
        label_column="gender",
    ),
    "bios_profession": _task(
        BIOGRAPHIES,
        Wording(
            query=f"{CONSIDER} What is the profession of the person in this text? The profession of this person is",
            answers=tuple(PROFESSIONS.values()),
        ),
        {number: index for index, number in enumerate(PROFESSIONS)},
        rows="dev",
        function="profession",
        label_column="profession",
    ),
    "hotpotqa": _task(
        Source(path="hotpotqa/hotpot_qa", config="fullwiki", columns=("question", "answer")),  # the rest is 500 MB
        Wording(query="{question} The answer is", answers=(" {answer}",)),
        rows="train",
        test="validation",
        function="hotpotqa",
        validation_size=1851,  # a fifth of both, where the test is the hub's 7,405 rows
    ),
    "truthfulqa": _task(
        Source(path="truthfulqa/truthful_qa", config="multiple_choice"),
        Wording(query="{statement}Is this statement true or false? This statement is", answers=TRUTH_WORDS),
        {"0": 0, "1": 1},
        rows="validation",
        function="truthfulqa",
        label_column="true",
        strict=True,
    ),
    "bigbench_epistemic": _task(
        Source(path=BIG_BENCH, config="epistemic_reasoning"),
        Wording(query="{inputs!w}", answers=EPISTEMIC),
        {answer.strip(): index for index, answer in enumerate(EPISTEMIC)},
        rows="validation+train",
        function="one_target",
        label_column="target",
    ),
    "bigbench_wikidata": _task(
        Source(path=BIG_BENCH, config="qa_wikidata"),
        Wording(query="{inputs}", answers=(" {target}",)),
        rows="validation+train",
        function="one_target",
    ),
}
