"""Make the file of published numbers: ``python -m clipsweep.analysis.published.make SHARED_DATA_FOLDER --out FILE``.

The folder holds ``paper_tables.csv`` (Tables 2 to 8 of the paper, as printed), and ``published_validation_curves.csv``
and ``published_test.csv`` (the result files of its released code). No number is changed or left out.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.published.read import FILE, PUBLISHED, RELEASED_CODE
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.spec.trial import TEST, VALIDATION

PAPER = (
    "Yao, Hu, Yang, Liu: Enhancing In-Context Learning Performance with just SVD-Based Weight Pruning: A Theoretical "
    "Perspective (NeurIPS 2024), arXiv 2406.03768"
)
ABOUT: dict[bytes | str, bytes | str] = {
    "title": "Published scores of models with clipped weights",
    "source": f"{PAPER}: Tables 2 to 8 as printed, and the 36 result files of its released code.",
    "code": "https://github.com/chen123CtrlS/EnhancingICL_SVDPruning",
    "license": "MIT (the released code and its result files); the printed numbers of the tables are quoted",
    "made_by": "python -m clipsweep.analysis.published.make",
}
OUR_TASKS = {
    "SST-2": "sst2",
    "AGNEWS": "agnews",
    "EmoC": "emoc",
    "MRPC": "mrpc",
    "RTE": "rte",
    "CB": "cb",
    "COPA": "copa",
}
METRICS = {"Test Acc": "accuracy", "Test F1": "f1"}
N_LAYERS = {"GPT-J-6B": 28, "LLAMA2-7B": 32}
SHOTS = {"sst2": 10, "emoc": 10, "agnews": 8, "mrpc": 10, "rte": 5, "cb": 5, "copa": 5}  # that enter the prompt
N_EXAMPLES = {  # that the released code scores; of the others the number is not known
    VALIDATION: {"rte": 400, "cb": 235, "copa": 200},
    TEST: {"rte": 277, "cb": 56, "copa": 100, "mrpc": 1725},
}
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "study": (pa.string(), "always 'published'"),
    "task": (pa.string(), "the task by clipsweep's name"),
    "model": (pa.string(), "the model as its source names it; LLAMA2-7B is Llama-2-7b-chat"),
    "n_layers": (pa.int32(), "decoder blocks of the model"),
    "module": (pa.string(), "what was clipped together: attn or mlp"),
    "layer": (pa.int32(), "decoder block that was clipped, from 0"),
    "clip_rate": (pa.float64(), "fraction of singular values dropped, 0 to 1"),
    "split": (pa.string(), "validation or test"),
    "score": (pa.float64(), "of the clipped model, a fraction"),
    "baseline": (pa.float64(), "test: of the untouched model; validation: of the same curve at rate 0; a fraction"),
    "metric": (pa.string(), "what the source calls the score: accuracy or f1"),
    "shots": (pa.int32(), "demonstrations in the prompt"),
    "n_examples": (pa.int32(), "rows that were scored; null where not known"),
    "source": (pa.string(), "'released code', or the paper's table: 'table 2' to 'table 8'"),
}
SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"description": text}) for name, (kind, text) in COLUMNS.items()], metadata=ABOUT
)


def make_table(folder: Path) -> pa.Table:
    """The numbers of the three CSV files as one table, in their order."""
    curves = _read(folder / "published_validation_curves.csv")
    at_zero = {_curve(each): each["validation_score"] for each in curves if float(each["clip_rate"]) == 0}
    rows = [
        *(
            _row(each, VALIDATION, each["clip_rate"], each["validation_score"], at_zero[_curve(each)])
            for each in curves
        ),
        *(
            _row(each, TEST, each["best_clip_rate"], each["test_clipped"], each["test_baseline"])
            for each in _read(folder / "published_test.csv")
        ),
        *(_printed_row(each) for each in _read(folder / "paper_tables.csv")),
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _curve(line: dict[str, str]) -> tuple[str, ...]:
    return tuple(line[name] for name in ("model", "task", "module", "layer"))


def _row(line: dict[str, str], split: str, clip_rate: str, score: str, baseline: str) -> dict[str, Any]:
    """A row of the table, of a line of any of the files."""
    task, model = OUR_TASKS.get(line["task"], line["task"]), line["model"]
    return {
        "study": PUBLISHED,
        "task": task,
        "model": model,
        "n_layers": N_LAYERS[model],
        "module": line["module"].lower(),
        "layer": int(line["layer"]),
        "clip_rate": float(clip_rate),
        "split": split,
        "score": float(score),
        "baseline": float(baseline),
        "metric": "accuracy",
        "shots": SHOTS[task],
        "n_examples": N_EXAMPLES[split].get(task),
        "source": RELEASED_CODE,
    }


def _printed_row(line: dict[str, str]) -> dict[str, Any]:
    """A row of the table, of a line of the paper's tables."""
    row = _row(line, TEST, line["optimal_clip_rate"], line["clipped"], line["baseline"])
    return row | {"metric": METRICS[line["metric"]], "source": f"table {line['table']}"}


def main() -> None:
    """Write the file whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="SHARED_DATA_FOLDER")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    with whole_file(args.out) as draft:
        pq.write_table(make_table(args.folder), draft, compression="zstd")


if __name__ == "__main__":
    main()
