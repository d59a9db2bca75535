"""lm-evaluation-harness on an exported folder: the same multiple-choice task, example by example beside ours.

The harness has dependencies of its own, so it runs under another Python: that of ``$CLIPSWEEP_HARNESS``, where
``pip install lm_eval`` has put it. Without the variable there is no figure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.take_home.apply import Wish, apply_study
from clipsweep.trials.spec.trial import VALIDATION, PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tokens.wording import render_prompts
from tests.benchmarks.document import Line, at_most

HARNESS = "CLIPSWEEP_HARNESS"
SHOTS, ROWS = 4, 200
STUDY: dict[str, Any] = {
    "name": "harness",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": ROWS, "test_size": 0, "seed": 0},
    "space": {"layers": [-1], "modules": ["mlp"], "shots": [SHOTS], "clip_rates": [0.99]},
    "cluster": {"replicas": 0},
}
EVALUATE = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.api.task import ConfigurableTask

folder, rows, out = sys.argv[1:]
task = ConfigurableTask(config={
    "task": "exported", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": rows}},
    "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{context}}", "doc_to_choice": "choices",
    "doc_to_target": "gold", "target_delimiter": "", "metric_list": [{"metric": "acc"}],
})
found = simple_evaluate(
    model="hf", model_args={"pretrained": folder, "dtype": "float32"}, tasks=[task], batch_size=1, device="cpu",
    log_samples=True, bootstrap_iters=0,
)
samples = sorted(found["samples"]["exported"], key=lambda sample: sample["doc_id"])
with open(out, "w") as opened:
    json.dump([sample["acc"] for sample in samples], opened)
"""


def harness_lines(folder: Path) -> Iterator[Line]:
    """How many answers of an exported model the harness judges otherwise than the stored trial did."""
    python = os.environ.get(HARNESS)
    if not python:
        print(f"{HARNESS} names no Python with lm_eval: not compared with it", file=sys.stderr)
        return
    run_study(check_study(STUDY), folder / "study", folder / "cache", Console(quiet=True))
    snapshot = Snapshot.take(reopen(folder / "study"))
    [row] = (row for row in snapshot.rows.values() if row.clips)
    apply_study(snapshot, row.trial_id, Wish(out=folder / "out"), folder / "cache")
    task = load_task(snapshot.opened.study.task_settings(), folder / "cache")
    rows = task.splits[VALIDATION]
    prompts = render_prompts(task, PromptSet(shots=SHOTS, demo_seed=row.demo_seed, split=VALIDATION), rows)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as opened:
        for prompt, example in zip(prompts, rows, strict=True):
            content = {"context": prompt, "choices": example.answers, "gold": example.gold}
            opened.write(json.dumps(content) + "\n")
    command = [python, "-c", EVALUATE, str(folder / "out"), str(folder / "rows.jsonl"), str(folder / "judged.json")]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=environment)
    judged = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
    differ = sum(bool(one) != bool(other) for one, other in zip(judged, row.outcomes, strict=True))
    yield at_most(f"lm-evaluation-harness: answers of {ROWS} that it judges otherwise", differ, "", 0)
    yield Line(name="lm-evaluation-harness: accuracy", value=sum(judged) / len(judged), unit="")
    yield Line(name="the stored trial's accuracy", value=row.score("accuracy"), unit="")
