"""Whether a written checkpoint answers each example, or likes each window of text, as its stored trials did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.replica import pick_devices
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.take_home.pick_trial import Picked
from clipsweep.orchestrator.words import Say
from clipsweep.trials.export.recipe import FACTORED, Recipe
from clipsweep.trials.export.score import Scorer
from clipsweep.trials.prompts.judge import Judgement, judge
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.tokenizer import load_tokenizer

SHOWN_EXAMPLES = 20
NEAR = 0.01  # nats per token of a window, about what rounding to half precision does


def check_stored(
    out: Path, recipe: Recipe, opened: OpenStudy, picked: Picked, task: Task, cache: Path, say: Say
) -> dict[str, Any]:
    """Load a checkpoint, score it as its trials were, and compare example by example.

    Trials of other demonstration seeds are left out where clips look at texts: theirs made other weights.

    Args:
        out: The checkpoint.
        recipe: What it is.
        opened: The study.
        picked: Its trials.
        task: Of the study.
        cache: For what the engine finds out.
        say: Shows the user what is waited for.

    Returns:
        ``differ``, how many examples are answered otherwise (right instead of wrong, or wrong instead of right), or
        how many windows of text have another likelihood (by more than ``NEAR`` nats per token), and ``trials``, the
        same for each with the numbers of the first such examples in the split.

    Raises:
        ClipsweepError: The checkpoint does not load, or gives no scores.
    """
    torch.set_num_threads(opened.study.cluster.cpus_per_replica)  # as the trials had
    card = replace(opened.subject.card, dtype=recipe.written_as)
    devices = pick_devices(opened.study.cluster.gpus_per_replica)
    scorer = Scorer(out, card, devices, cache, factored=recipe.format == FACTORED)
    tokenizer = load_tokenizer(out)
    trials = []
    for row in picked.of_these_weights:
        say(f"scoring it on the {row.n_examples:,} {row.split} rows of trial {row.trial_id} …")
        wanted = PromptSet(shots=row.shots, demo_seed=row.demo_seed, split=row.split)
        prompts = encode_prompts(task, tokenizer, wanted, card.context_length)
        scores, leads = scorer.score(prompts, row.microbatch)
        judged = judge(prompts, scores.numpy(), None if leads is None else leads.numpy(), strict=task.strict)
        trials.append(_compare(row, judged))
    return {"differ": sum(each["differ"] for each in trials), "trials": trials}


def _differing(row: StoredRow, now: Judgement) -> list[int]:
    """Examples that came out otherwise than stored."""
    if row.is_text:
        loglikelihoods, tokens = np.array(now.loglikelihoods), np.array(now.tokens)
        return np.flatnonzero(np.abs(loglikelihoods / tokens - row.example_scores) > NEAR).tolist()
    return np.flatnonzero(np.asarray(now.outcomes) != row.outcomes).tolist()


def _compare(row: StoredRow, now: Judgement) -> dict[str, Any]:
    differ = _differing(row, now)
    return {
        "trial_id": row.trial_id,
        "split": row.split,
        "shots": row.shots,
        "demo_seed": row.demo_seed,
        "n_examples": row.n_examples,
        "differ": len(differ),
        "examples": differ[:SHOWN_EXAMPLES],
        **({"of_text": True} if row.is_text else {}),
    }
