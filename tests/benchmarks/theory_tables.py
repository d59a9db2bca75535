"""The tables of ``docs/theory.md`` on the theory's statements, from the stored document of the benchmark.

    python -m tests.benchmarks.theory_tables

prints them. A test compares them with the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipsweep.trials.theory.claims import Claim

RESULTS = Path(__file__).parent / "results" / "theory_statements.json"
COLUMNS = {
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

    rows = [[stack, clips(stack), *(cell(stack, claim) for claim in COLUMNS)] for stack in stacks]
    return _table(["stacks", "clips of each", *COLUMNS.values()], rows)


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


def _signed(value: float) -> str:
    """Two places, with a sign."""
    return f"{value:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")


def tables() -> list[str]:
    """All of them, as Markdown."""
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    made = (statements_table(document), correlations_table(document), changes_table(document))
    return ["\n".join(table) for table in made]


if __name__ == "__main__":
    print("\n\n".join(tables()))
