"""The study file that ``clipsweep init`` writes: every section, the common keys, a comment for each."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from clipsweep.orchestrator.source.find_file import is_file
from clipsweep.orchestrator.words import as_name
from clipsweep.trials.base.errors import StudyError, TaskError, unknown_name
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.os_words import check_output
from clipsweep.trials.models.find import EMBEDDED
from clipsweep.trials.tasks.generated import GENERATED
from clipsweep.trials.tasks.table import TASKS

LONGEST = 100  # characters of a name
DRAFT = """\
# A study: which singular values of which matrices are dropped, and what that does to a task.
#   clipsweep run {file} --dry-run    # what it will cost
#   clipsweep run {file}              # run it, or go on with it
# Where a list is wanted, one value may stand alone. 'clipsweep schema' describes every key.
name: {name}                 # of its folder, studies/{name}

model:
  path: {model}              # a folder with config.json, safetensors and a tokenizer, a hub name, or embedded
  dtype: {dtype}             # or float16, bfloat16, float32
  # revision: main           # of a hub name

task:
  name: {task}               # {tasks}
  # path: data/{task}        # a folder with train.jsonl (or .csv, .parquet), in the columns of the hub
  {sizes}validation_size: 400     # rows that points are judged by; without it the task's own number
  {sizes}test_size: 400           # rows that the winner is measured on
  # truncate: demonstrations # where a prompt is too long, leave demonstrations out; else it is refused

space:
  layers: [0, -1]            # negative ones count from the end; or all, or {{top_condition: 3}}
  # layers: [0, [-4, -1]]    # the last four clipped together, as one point; [[0, -1]] is every layer at once
  modules: [attn, mlp]       # or all, or single matrices: q, k, v, o, up, gate, down, fc_in, fc_out
  clip_rates: [0, 0.5, 0.9, 0.95]   # fractions of the singular values dropped; or {{low: 0.0, high: 0.995}} for bayes
  # shots: [0, 4, 10]        # demonstrations in a prompt; without it the task's own number
  # demo_seeds: [0, 1, 2]    # a score is the mean over them
  # clips: {{max: 4}}          # several clips at once, for driver bayes

search:
  driver: grid               # every point; or algorithm1, bayes, or compose (clip upon clip, from the last layer down)
  # race: halving            # stop trials that fall behind; a grid then costs an eighth of its rows
  # n_trials: 100            # for bayes: when to stop; also max_hours, max_gpu_hours, patience
  # min_gain: 0.005          # for compose: what a clip must gain to be kept; max_clips: 4 ends it
  # sampler: tpe             # for bayes: or gp, nsga2, cmaes, qmc, random; neighbours, in the race of that name
  # winner: one_standard_error   # the smallest that is as good as the best

cluster:
  replicas: auto             # as many as there is room for; 0 runs in this process, without Ray
  # gpus_per_replica: 1      # 0.5 puts two on a GPU; 4 spreads one over four
  # address: HEAD:6379       # of a Ray cluster to join
  # activation_budget: 8GB   # what captured activations may fill
  # hang_after_s: 60         # a replica that does not answer is replaced; later where more is expected

theory: false                # true: each trial also measures what its demonstrations do by the paper's theory
"""


def write_draft(path: Path, model: str, task: str, *, force: bool) -> None:
    """Write a study file to start from.

    Args:
        path: Where to.
        model: Its checkpoint.
        task: Name of its task.
        force: Whether a file that is there is written over.

    Raises:
        StudyError: There is such a file.
        TaskError: There is no such task.
        PlaceError: It cannot be written there.
    """
    if task not in TASKS and task not in GENERATED:
        raise TaskError(f"{unknown_name('task', task, [*TASKS, *GENERATED])} One of your own goes into the file later.")
    check_output(path, "a study file")
    if is_file(path) and not force:
        raise StudyError(f"{path} is there already. Give another name, or --force to write over it.")
    write_text(path, draft(path, model, task))


def draft(path: Path, model: str, task: str) -> str:
    """The text of a study file to start from."""
    name = as_name(f"{Path(model).name}-{task}"[-LONGEST:])
    return DRAFT.format(
        file=shlex.quote(str(path)),
        name=name,
        model=_quoted(model),
        dtype="float32" if model == EMBEDDED else "float16",
        task=task,
        tasks=", ".join([*TASKS, *GENERATED]),
        sizes="" if task in GENERATED else "# ",
    )


def _quoted(text: str) -> str:
    """A text as YAML takes it, in quotes where it needs them."""
    return yaml.safe_dump(text, default_style=None, allow_unicode=True, width=10_000).removesuffix("...\n").strip()
