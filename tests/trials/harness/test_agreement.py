"""lm-evaluation-harness itself gives every document the same choice, the same log-likelihoods and the same metric."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, PreTrainedModel

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.prompts.judge import Judgement, judge
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TEST, VALIDATION, PromptSet
from clipsweep.trials.tasks.task import Task
from tests.harness_model import harness_model
from tests.trials.engine.test_exactness import make_engine
from tests.trials.harness.helpers import evaluate_by_harness, load_harness_task
from tests.trials.reference import edit_in_place

CLIPS = {
    "baseline": (),
    "mlp": (Clip(layer=1, module="mlp", clip_rate=0.6),),
    "attn": (Clip(layer=0, module="attn", clip_rate=0.8),),
}
NAMES = ["letters", "endings", "delimiter", "random", "blanks", "last_words", "bare", "group"]
METRICS = [
    ("letters", "acc"),
    ("letters", "exact_match"),
    ("endings", "acc"),
    ("endings", "acc_norm"),
    ("endings", "acc_bytes"),
    ("delimiter", "acc_norm"),
    ("random", "acc"),
    ("blanks", "acc"),
    ("last_words", "acc"),
    ("bare", "acc_bytes"),
    ("group", "acc_norm"),
]


class Both:
    """One model, clipped or not: the engine's answers, and those of the harness for the model edited by hand."""

    def __init__(self, model: PreTrainedModel, clips: tuple[Clip, ...], cache: Path) -> None:
        self.engine: Engine = make_engine(model, cache)
        self.clips = resolve(clips, self.engine.card)
        lm = harness_model(edit_in_place(model, clips), build_tokenizer(), batch_size=8)
        self.harness = evaluate_by_harness(lm, [f"clip_{name}" for name in NAMES])

    def answer(self, task: Task, split: str) -> tuple[Prompts, NDArray[np.float32], Judgement]:
        """Prompts of a split, what the engine gives for their labels, and what that says."""
        wanted = PromptSet(shots=task.definition.shots, demo_seed=0, split=split)
        assert task.reader is not None
        prompts = task.reader.encode(build_tokenizer(), wanted, self.engine.card.context_length)
        scored = self.engine.score(prompts, self.clips, microbatch=4)
        leads = None if scored.leads is None else scored.leads.numpy()
        scores = scored.log_likelihoods.numpy()
        return prompts, scores, judge(prompts, scores, leads)


@lru_cache
def opened(name: str, metric: str) -> Task:
    return load_harness_task(f"clip_{name}", metric)


@pytest.fixture(scope="module")
def made() -> dict[tuple[Path, str], Both]:
    return {}


@pytest.fixture(scope="module")
def both(tiny_model: Path, made: dict[tuple[Path, str], Both], tmp_path_factory: Any) -> Callable[[str], Both]:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(tiny_model).eval()

    def make(clips: str) -> Both:
        if (tiny_model, clips) not in made:
            made[tiny_model, clips] = Both(model, CLIPS[clips], tmp_path_factory.mktemp("cache"))
        return made[tiny_model, clips]

    return make


def documents_of(harness: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """By task and number what the harness says of each document."""
    return {(task, each["doc_id"]): each for task, held in harness["samples"].items() for each in held}


def expected_choice(document: dict[str, Any], metric: str) -> int:
    """The harness's choice, recomputed as its ``process_results`` does from its own log-likelihoods."""
    sums = np.array([resps[0][0] for resps in document["resps"]])
    choices = document["doc"].get("endings") or ["x"] * len(sums)
    lengths = {"acc_norm": [len(each) for each in choices], "acc_bytes": [len(each.encode()) for each in choices]}
    return int(np.argmax(sums / np.array(lengths.get(metric, [1] * len(sums)))))


@pytest.mark.slow
@pytest.mark.parametrize("clips", CLIPS)
@pytest.mark.parametrize(("name", "metric"), METRICS)
def test_the_harness_gives_the_same(name: str, metric: str, clips: str, both: Callable[[str], Both]) -> None:
    task, pair = opened(name, metric), both(clips)
    documents, right = documents_of(pair.harness), list[bool]()
    for split in [TEST] if name == "letters" else [VALIDATION, TEST]:  # which the harness does not read apart
        prompts, scores, judgement = pair.answer(task, split)
        for number, row in enumerate(task.splits[split]):
            document = documents[str(row.of_task), row.row[1]]
            query = prompts.queries[number]
            sums = scores[number, : len(query.labels)] * np.array(query.lengths or [1.0])
            resps = [resps[0] for resps in document["resps"]]
            if prompts.scoring is Scoring.GREEDY:
                right_one = resps[document["target"]] if len(resps) > 1 else resps[0]
                assert judgement.outcomes[number] == right_one[1]
                resps = [right_one]
            else:
                assert judgement.predicted[number] == expected_choice(document, metric)
            assert sums == pytest.approx([each[0] for each in resps], abs=1e-4)
            assert judgement.outcomes[number] == bool(document[metric])
        right += judgement.outcomes
    assert np.mean(right) == pytest.approx(pair.harness["results"][f"clip_{name}"][f"{metric},none"])
