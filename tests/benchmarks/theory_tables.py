"""The tables of ``docs/theory.md``, from the stored documents of the benchmarks.

    python -m tests.benchmarks.theory_tables

prints them. A test compares them with the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.trials.theory.clip_effect import Claim
from tests.benchmarks.theory_reach import COLUMNS, MODELS, MODULES, RATES
from tests.documents import DOCS

RESULTS = Path(__file__).parent / "results"
REACH = RESULTS / "theory_reach.json"
STATEMENTS, PREDICTS = RESULTS / "theory_statements.json", RESULTS / "theory_predicts.json"
GEMMA = DOCS / "theory" / "gemma.json"  # of ``clipsweep theory --json``, the part ``correlations``
SURFACES = ("sst2-release-words", "sst2-qkvo", "sst2-joint", "embedded-joint", "embedded-single")
SEARCHES = {"bayes (tpe) + halving": "`tpe` + `halving`", "bayes (neighbours) + neighbours": "`neighbours`"}
REACH_HEAD = ("ΔW of its block", "later", "feature space, its block", "later", "G of its block", "later")
KNOWN = ("nothing", "where norms fall most", "a screen")
CLAIMS = {
    Claim.BOUND: "UB is above, first · later blocks",
    Claim.BOUND_FALLS: "UB falls",
    Claim.SQUARES_ADD_UP: "squares add up",
    Claim.UPDATE_FALLS: "ΔW_k falls",
    Claim.GRADIENT_FALLS: "G_k falls",
    Claim.LATER_UPDATE_FALLS: "later ΔW_t fall",
    Claim.LATER_GRADIENT_FALLS: "later G_t fall",
}
ORDER = ("query", "key", "value", "mlp")
UNTOUCHED = ("untouched, first block", "untouched, later blocks")

LEFT_OUT = ("product", "100 sets", "b = 6", "Σ rank of the paper")  # of mean changes: another column tells as much


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table. A bar within a cell is written so that it does not end it."""
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in (head, ["---"] * len(head), *rows))
    yield from (f"| {' | '.join(row)} |" for row in escaped)


def statements_table(document: Mapping[str, Any]) -> Iterator[str]:
    """How often each statement holds, in per cent rounded down, for each matrix in turn."""
    held = {(row["stack"], row["claim"], row["matrix"]): row for row in document["statements"]}
    stacks = dict.fromkeys(row["stack"] for row in document["statements"])

    def cell(stack: str, claim: Claim) -> str:
        matrices = UNTOUCHED if claim == Claim.BOUND else ORDER
        found = [held[stack, claim.value, each] for each in matrices if (stack, claim.value, each) in held]
        return " · ".join(str(100 * row["holds"] // row["of"]) for row in found)

    def clips(stack: str) -> str:
        return str(held[stack, Claim.UPDATE_FALLS.value, "key"]["of"])

    rows = [[stack, clips(stack), *(cell(stack, claim) for claim in CLAIMS)] for stack in stacks]
    return _table(["stacks", "clips of each", *CLAIMS.values()], rows)


def correlations_table(document: Mapping[str, Any]) -> Iterator[str]:
    """Rank correlations of each score with both errors; those from fewer sets are in the document alone."""
    found = {(each["score"], each["target"]): each for each in document["bound"]["correlations"]}
    targets = list(dict.fromkeys(target for _, target in found))
    scores = [score for score in dict.fromkeys(score for score, _ in found) if "100 sets" not in score]

    def cell(each: Mapping[str, Any]) -> str:
        if each["correlation"] is None:
            return "no value"
        stacks = ", ".join(_signed(value) for value in each["of_each_stack"])
        return f"{_signed(each['correlation'])} [{_signed(each['low'])}, {_signed(each['high'])}] ({stacks})"

    return _table(["", *targets], [[score, *(cell(found[score, target]) for target in targets)] for score in scores])


def changes_table(document: Mapping[str, Any]) -> Iterator[str]:
    """Mean changes by the clips of each block and matrix."""
    changes = document["bound"]["changes"]
    names = [name for name in changes[0] if name not in {"block", "matrix", "clips"}]
    shown = [name for name in names if not any(part in name for part in LEFT_OUT)]
    rows = [
        [f"{each['block']} W_{each['matrix'][0].upper()}", *(_signed(each[name]) for name in shown)] for each in changes
    ]
    return _table(["block, matrix", *shown], rows)


def predictions_table(values: Mapping[str, float], gemma: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Rank correlations of every quantity with the gain on each surface, and of Gemma's study."""
    of_all = {each["quantity"]: each for each in gemma if each["module"] is None}

    def cell(name: str) -> str:
        low, high = (values.get(f"{name}, by layer, {end}") for end in ("from", "to"))
        return _with_interval(values.get(name), None if low is None or high is None else (low, high))

    rows = [
        [
            quantity.label,
            *(cell(f"{surface}: {quantity.label}") for surface in SURFACES),
            _with_interval(of_all[name]["rho"], of_all[name]["by_layer"]),
        ]
        for name, quantity in QUANTITIES.items()
    ]
    screens = [_signed(_starting(values, f"{surface}: a screen, median")) for surface in SURFACES]
    head = ["quantity", *(f"`{surface}`" for surface in SURFACES), "Gemma 3 270M"]
    return _table(head, [*rows, ["a screen of 100 rows", *screens, ""]])


def prior_table(values: Mapping[str, float]) -> Iterator[str]:
    """Share of the seeds that find nearly all of what a grid gains, and the share of its rows, by what is known."""

    def cell(name: str) -> str:
        return f"{values[f'{name}, seeds with 0.9 of it']:.2f} ({values[f'{name}, rows']:.3f})"

    rows = [
        [shown, known, *(cell(f"{surface}: {search} that knows {known}") for surface in SURFACES)]
        for search, shown in SEARCHES.items()
        for known in KNOWN
    ]
    return _table(["search", "knows", *(f"`{surface}`" for surface in SURFACES)], rows)


def reach_table(values: Mapping[str, float]) -> Iterator[str]:
    """Mean changes of norms by clips of each module at three rates: of the clipped block, and sizes of later ones."""

    def own(clip: str, column: str) -> str:
        names = [f"{clip} at {rate}, {column}: its own block" for rate in RATES]
        means = [values[f"{name}, mean"] for name in names]
        if not any(means):
            return "0"
        fall = " · ".join(f"{values[f'{name}, how often it falls']:.0f}" for name in names)
        return f"{' · '.join(map(_signed, means))} ({fall} %)"

    def later(clip: str, column: str) -> str:
        return " · ".join(f"{values[f'{clip} at {rate}, {column}: later blocks, mean size']:.2f}" for rate in RATES)

    rows = [
        [model, module, *(cell(f"{model}, {module}", name) for name in COLUMNS for cell in (own, later))]
        for model in MODELS
        for module in MODULES
    ]
    return _table(["model", "clip", *REACH_HEAD], rows)


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A correlation with its interval; empty where it has none."""
    if value is None:
        return ""
    return _signed(value) + ("" if interval is None else f" [{_signed(interval[0])}, {_signed(interval[1])}]")


def _starting(values: Mapping[str, float], beginning: str) -> float:
    """The figure whose name begins so."""
    return next(value for name, value in values.items() if name.startswith(beginning))


def _signed(value: float) -> str:
    """Two places, with a sign."""
    return f"{value:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")


def _lines(path: Path) -> dict[str, float]:
    """The figures of a benchmark by their names."""
    return {line["name"]: line["value"] for line in json.loads(path.read_text(encoding="utf-8"))["lines"]}


def tables() -> list[str]:
    """All of them, as Markdown."""
    document, gemma = (json.loads(path.read_text(encoding="utf-8")) for path in (STATEMENTS, GEMMA))
    values = {**_lines(PREDICTS), **_lines(REACH)}
    made = (
        *(statements_table(document), correlations_table(document), changes_table(document)),
        *(predictions_table(values, gemma), prior_table(values), reach_table(values)),
    )
    return ["\n".join(table) for table in made]


if __name__ == "__main__":
    print("\n\n".join(tables()))
