"""What a text is told to cost: that of lm-evaluation-harness, and of a loop over the model's own forward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.prompts.judge import Judgement, judge
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import VALIDATION, PromptSet
from clipsweep.trials.tasks.task import Task
from tests.harness_model import harness_model
from tests.trials.engine.test_exactness import make_engine
from tests.trials.reference import edit_in_place
from tests.trials.texts.helpers import draw_documents, load_texts, starting_tokenizer

LENGTH = 32
TEXTS = draw_documents(9)
CLIPS = [(), (Clip(layer=1, module="mlp", clip_rate=0.6),), (Clip(layer=0, module="attn", clip_rate=0.8),)]
TOKENIZERS = {"bare": build_tokenizer, "starting": starting_tokenizer}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    return loaded


@pytest.fixture(scope="module")
def engine(model: PreTrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return make_engine(model, tmp_path_factory.mktemp("cache"))


def judge_task(task: Task, engine: Engine, clips: tuple[Clip, ...]) -> Judgement:
    """What the engine gives for the validation split of a task."""
    assert task.reader is not None
    wanted = PromptSet(shots=0, demo_seed=0, split=VALIDATION)
    prompts = task.reader.encode(build_tokenizer(), wanted, engine.card.context_length)
    scored = engine.score(prompts, resolve(clips, engine.card), microbatch=4)
    return judge(prompts, scored.log_likelihoods.numpy())


@pytest.mark.parametrize("clips", CLIPS, ids=["baseline", "mlp", "attn"])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_text_costs_what_the_harness_says(
    kind: str, clips: tuple[Clip, ...], engine: Engine, model: PreTrainedModel, tmp_path: Path
) -> None:
    tokenizer: PreTrainedTokenizerFast = TOKENIZERS[kind]()
    task = load_texts(tmp_path, TEXTS, tokenizer=tokenizer, length=LENGTH)
    found = judge_task(task, engine, clips)
    harness = harness_model(edit_in_place(model, clips), tokenizer, max_length=LENGTH, batch_size=1)
    requests = [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(TEXTS)]
    expected = harness.loglikelihood_rolling(requests, disable_tqdm=True)
    tokens = sum(len(tokenizer(text)["input_ids"]) for text in TEXTS)
    assert sum(found.tokens) == tokens
    assert found.tally.scores.nll == pytest.approx(-sum(expected) / tokens, abs=1e-5)


@pytest.mark.parametrize("clips", CLIPS[:2], ids=["baseline", "mlp"])
def test_with_a_stride_each_token_follows_as_much_text_as_a_plain_loop_gives_it(
    clips: tuple[Clip, ...], engine: Engine, model: PreTrainedModel, tmp_path: Path
) -> None:
    stride = 12
    found = judge_task(load_texts(tmp_path, TEXTS, length=LENGTH, stride=stride), engine, clips)
    edited, tokenizer = edit_in_place(model, clips), build_tokenizer()
    total = 0.0
    for text in TEXTS:
        tokens = [tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]
        scored = 1
        while scored < len(tokens):
            stop = min(scored + (LENGTH if scored == 1 else stride), len(tokens))
            read = torch.tensor([tokens[max(0, stop - 1 - LENGTH) : stop]])
            with torch.no_grad():
                logits = edited(read).logits[0, :-1].log_softmax(dim=-1)
            last = logits[-(stop - scored) :].gather(1, read[0, -(stop - scored) :, None])
            total -= last.double().sum().item()
            scored = stop
    assert found.tally.scores.nll == pytest.approx(total / sum(found.tokens), abs=1e-5)
