"""Texts are scored at every token: downstream of a clip alone, and with few logits in memory."""

import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from clipsweep.trials.clips.edit import edit_weights
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine import label_readings
from clipsweep.trials.engine.cost import measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import VOCABULARY_SIZE, build_model, card_of
from tests.trials.engine.test_exactness import draw_tokens, make_engine, model_of
from tests.trials.reference import edit_in_place, run_one_by_one

CLIPS = [(), *((Clip(layer=layer, module=module, clip_rate=0.6),) for layer in (0, 1) for module in ("mlp", "attn"))]
WINDOW = 24


def windows(lengths: list[int], context: int = 1) -> Prompts:
    """Texts of so many tokens, of which the first ones are not scored."""
    draw = random.Random(0)
    texts = [draw_tokens(draw, length) for length in lengths]
    queries = tuple(Query(tokens=text[:context], labels=(text[context:],), gold=0) for text in texts)
    return Prompts(prefix=(), queries=queries, scoring=Scoring.TEXT)


def documents(count: int) -> list[int]:
    """Lengths of the windows of some documents: the last of each is what remains."""
    draw = random.Random(1)
    return [length for _ in range(count) for length in [WINDOW] * draw.randrange(4) + [draw.randrange(2, WINDOW)]]


@pytest.mark.parametrize("context", [1, WINDOW // 2])
@pytest.mark.parametrize("name", ["gptj", "llama", "mistral", "bloom", "gpt_neo"])
def test_windows_of_one_length_are_scored_as_if_alone(
    name: str, context: int, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prompts, model = windows([WINDOW] * 4, context), model_of(name)  # nothing is padded, so some models make no mask
    engine = make_engine(model, cache)
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        for clips in CLIPS:
            expected = run_one_by_one(edit_in_place(model, clips), prompts)
            scored = engine.score(prompts, resolve(clips, engine.card), 2).log_likelihoods
            torch.testing.assert_close(scored, expected.scores, atol=1e-4, rtol=0)
    assert "the last block runs on all tokens of some" not in caplog.text


@pytest.mark.parametrize("context", [1, WINDOW // 2])
@pytest.mark.parametrize("clips", CLIPS)
@pytest.mark.parametrize("name", ["gptj", "llama"])
def test_the_cost_model_counts_what_torch_counts(name: str, clips: tuple[Clip, ...], context: int, cache: Path) -> None:
    model, prompts = build_model(name), windows([WINDOW] * 4 + [context + 3] * 2, context)
    model.set_attn_implementation("eager")  # torch does not count its fused attention on a CPU
    engine = make_engine(model, cache)
    engine.announce(starts_of([clip for each in CLIPS for clip in each], engine.card))
    engine.score(prompts, resolve((), engine.card), 3)  # the pass that all trials share
    with FlopCounterMode(display=False) as forming:
        edit_weights(model, engine.layout, resolve(clips, card_of(model)), FactorCache(cache))
    with FlopCounterMode(display=False) as trial:
        scored = engine.score(prompts, resolve(clips, engine.card), 3)
    assert scored.operations == trial.get_total_flops() - forming.get_total_flops()


@pytest.mark.parametrize("clips", CLIPS)
def test_little_more_is_computed_than_each_window_alone_needs(clips: tuple[Clip, ...], cache: Path) -> None:
    engine, prompts = make_engine(model_of("gptj"), cache), windows(documents(30))
    each = [replace(prompts, queries=(query,)) for query in prompts.queries]
    start = engine.start_of(resolve(clips, engine.card))
    needed = sum(engine.cost.trial(measure_extents(window, 1), start) for window in each)
    assert needed < engine.score(prompts, resolve(clips, engine.card), 8).operations <= 1.1 * needed


class Heads:
    """Watches how many logits a model's head computes at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.largest = 0
        compute = Decoder.head

        def head(decoder: Decoder, hidden: Tensor, tokens: Any) -> Tensor:
            logits = compute(decoder, hidden, tokens)
            self.largest = max(self.largest, logits.numel())
            return logits

        monkeypatch.setattr(Decoder, "head", head)


def test_no_more_logits_are_held_at_once_than_allowed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_readings, "LOGITS_AT_ONCE", 5 * VOCABULARY_SIZE)
    engine: Engine = make_engine(model_of("llama"), cache)
    heads = Heads(monkeypatch)
    engine.score(windows([WINDOW] * 9), resolve(CLIPS[1], engine.card), 4)
    assert heads.largest == 5 * VOCABULARY_SIZE


def test_a_model_on_full_prompts_holds_the_logits_of_one_text_at_least(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_readings, "LOGITS_AT_ONCE", 5 * VOCABULARY_SIZE)
    model = build_model("openai-gpt")
    shapes: list[tuple[int, ...]] = []
    model.get_output_embeddings().register_forward_hook(lambda *given: shapes.append(tuple(given[-1].shape)))
    engine, prompts = make_engine(model, cache), windows([WINDOW] * 9)
    shapes.clear()
    scored = engine.score(prompts, resolve((), engine.card), 4).log_likelihoods
    assert max(shape[0] for shape in shapes if shape[-1] == VOCABULARY_SIZE) == 1
    torch.testing.assert_close(scored, run_one_by_one(model, prompts).scores, atol=1e-4, rtol=0)
