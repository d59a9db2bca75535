"""How long it takes to the first stored row, next to a plain script that loads the same model and scores one trial.

The plain script is what a researcher writes in a day: transformers, Optuna, the weights edited in place, batches of 32
padded prompts, the demonstrations read once. It needs no study, no checks and no store.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from clipsweep.trials.models.find import EMBEDDED_FOLDER
from tests.benchmarks.document import Line, at_most, print_document, tell

ROUNDS, QUICK_ROUNDS = 7, 3
TICKS = os.sysconf("SC_CLK_TCK")
STUDY: dict[str, Any] = {
    "name": "first",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": 200, "test_size": 0, "seed": 0},
    "space": {"layers": "all", "modules": ["mlp", "attn"], "shots": [10], "clip_rates": [0, 0.5, 0.9]},
}
LOAD = f"""
import torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained({str(EMBEDDED_FOLDER)!r}, dtype=torch.float32)
tokenizer = transformers.AutoTokenizer.from_pretrained({str(EMBEDDED_FOLDER)!r})
"""
PLAIN = (
    LOAD
    + """
import json, optuna
study = optuna.create_study(direction="maximize")
trial = study.ask()
rate = trial.suggest_categorical("rate", [0.1, 0.5, 0.75, 0.9, 0.95])
head, texts, labels, gold = json.load(open("prompts.json"))
right = 0
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
label_ids = [tokenizer(label).input_ids[-1] for label in labels]
weight = model.transformer.h[-1].mlp.fc_out.weight
with torch.inference_mode():
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    rank = max(1, round((1 - rate) * len(s)))
    weight.copy_(u[:, :rank] * s[:rank] @ vh[:rank])
    shared = model(**tokenizer([head], return_tensors="pt"), use_cache=True).past_key_values
    for start in range(0, len(texts), 32):
        batch = tokenizer(texts[start : start + 32], return_tensors="pt", padding=True)
        many = (len(batch.input_ids), -1, -1, -1)
        cache = transformers.DynamicCache([(k.expand(many), v.expand(many)) for k, v, *_ in shared])
        before = torch.ones(len(batch.input_ids), shared.get_seq_length(), dtype=torch.long)
        mask = torch.cat([before, batch.attention_mask], dim=1)
        logits = model(input_ids=batch.input_ids, attention_mask=mask, past_key_values=cache).logits
        last = batch.attention_mask.sum(dim=1) - 1
        found = logits[torch.arange(len(last)), last][:, label_ids].argmax(dim=1)
        right += (found == torch.tensor(gold[start : start + 32])).sum().item()
study.tell(trial, right / len(texts))
open("first", "w").close()
"""
)
RAY = """
import ray
ray.init(include_dashboard=False, log_to_driver=False)
@ray.remote(num_cpus=1)
class Actor:
    def answer(self):
        return 1
ray.get(Actor.remote().answer.remote())
"""


def write_prompts(folder: Path) -> None:
    """What the plain script reads: the demonstrations, the queries and the label words of the study's task."""
    from clipsweep.trials.tasks.load import load_task
    from clipsweep.trials.tasks.settings import TaskSettings

    task = load_task(TaskSettings(**STUDY["task"]), folder / "cache")
    head = "".join(row.demonstration for row in task.draw_demonstrations(10, 0))
    texts = [row.query for row in task.splits["validation"]]
    content = [head, texts, task.labels, [row.gold for row in task.splits["validation"]]]
    (folder / "prompts.json").write_text(json.dumps(content), encoding="utf-8")


def to_first(command: Sequence[str], folder: Path, found: str) -> tuple[float, float]:
    """Wall and processor seconds until a file is there that matches ``found``; the process is ended then."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CLIPSWEEP_CACHE": str(folder / "cache")}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not any(folder.glob(found)):
        assert process.poll() in (None, 0), f"{command} failed"
        time.sleep(0.002)
    taken = time.perf_counter() - began
    *_, fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")
    processor = sum(map(int, fields.split()[11:13])) / TICKS
    process.terminate()
    process.wait()
    return taken, processor


def measure_once(folder: Path, name: str) -> tuple[float, float]:
    """Wall and processor seconds of one of the ways, in a folder of its own but for the cache."""
    clipsweep = [str(Path(sys.executable).parent / "clipsweep"), "run", "study.yaml", "--dir", f"{name}", "--replicas"]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        inside = Path(place)
        for each in ("prompts.json", "study.yaml", "cache"):
            (inside / each).symlink_to(folder / each)
        done = "\nopen('first', 'w').close()"
        commands = {
            "load": ([sys.executable, "-c", LOAD + done], "first"),
            "plain": ([sys.executable, "-c", PLAIN], "first"),
            "ray": ([sys.executable, "-c", RAY + done], "first"),
            "in-process": ([*clipsweep, "0"], "*/trials/*.parquet"),
            "on Ray": ([*clipsweep, "1"], "*/trials/*.parquet"),
        }
        return to_first(commands[name][0], inside, commands[name][1])


def measure() -> Sequence[Line]:
    """All ways in turn, so that what else the machine does meets all of them; medians."""
    names = ("load", "plain", "ray", "in-process", "on Ray")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "cache").mkdir()
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
        write_prompts(folder)
        measure_once(folder, "in-process")  # fills the cache with the model's facts, as any earlier study has
        rounds = QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS
        taken = [{name: measure_once(folder, name) for name in names} for _ in range(rounds)]
    wall = {name: median(each[name][0] for each in taken) for name in names}
    processor = {name: median(each[name][1] for each in taken) for name in names}
    later = wall["on Ray"] - wall["plain"]
    return tell(
        [
            *(Line(name=f"{name}, to its end or first result", value=wall[name], unit="s") for name in names),
            Line(name="importing and loading, processor time", value=processor["load"], unit="s"),
            Line(name="first row in-process, processor time", value=processor["in-process"], unit="s"),
            at_most(
                "first row in-process ÷ importing and loading, processor time",
                processor["in-process"] / processor["load"],
                "",
                1.3,
            ),
            at_most("first row in-process ÷ a plain script's first result", wall["in-process"] / wall["plain"], "", 1),
            at_most("first row on Ray, later than a plain script's ÷ Ray's own start", later / wall["ray"], "", 1),
        ]
    )


if __name__ == "__main__":
    print_document(measure)
