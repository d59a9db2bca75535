"""Models that padding or the length of a text changes: each prompt is run alone, each label with its whole text."""

import functools
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.prompts.prompts import Tokens
from tests.trials.architectures import card_of, random_model
from tests.trials.engine.test_exactness import (
    GROUPED,
    ONE_TOKEN,
    ROPES,
    SEVERAL_TOKENS,
    draw_prompts,
    make_engine,
    read_whole,
)
from tests.trials.reference import centred

_DOGE = {**GROUPED, "pad_token_id": 2}
LOOKING_AHEAD: dict[str, dict[str, Any]] = {
    "few keys": {**_DOGE, "keep_window_size": 8},
    "few keys and a window": {**_DOGE, "keep_window_size": 8, "sliding_window": 12},
    "keys for long prompts": {**_DOGE, "keep_window_size": 40},
    "experts": {**_DOGE, "is_moe": True, "num_experts": 16, "num_experts_per_tok": 2},
}


@pytest.mark.parametrize("labels", [ONE_TOKEN, SEVERAL_TOKENS], ids=["single", "several"])
@pytest.mark.parametrize("name", LOOKING_AHEAD)
def test_a_model_that_padding_changes_is_run_on_each_prompt_alone(
    name: str, labels: tuple[Tokens, ...], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = random_model(transformers.DogeConfig(**LOOKING_AHEAD[name]))
    prompts = draw_prompts(0, 10, (33, 2, 14, 5), labels)
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        scored = make_engine(model, cache).score(prompts, resolve((), card_of(model)), 4)
    expected = [[read_whole(model, prompts, query, label) for label in labels] for query in prompts.queries]
    assert (scored.engine_path, scored.microbatch) == ("full-prompts", 4)
    torch.testing.assert_close(centred(scored.log_likelihoods), centred(torch.tensor(expected)), atol=1e-5, rtol=0)
    assert "each prompt is run alone, which is slower" in caplog.text


def test_short_prompts_of_a_model_that_keeps_few_keys_run_together(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine(random_model(transformers.DogeConfig(**LOOKING_AHEAD["keys for long prompts"])), cache)
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        engine.score(draw_prompts(0, 10, (20, 2, 14), ONE_TOKEN), resolve((), engine.card), 3)
    assert "each prompt is run alone" not in caplog.text


_LONG_ROPE = {**ROPES["longrope"], "short_mscale": 1.0, "long_mscale": 1.2}
PHI: dict[str, Any] = {"phi3": transformers.Phi3Config, "phimoe": transformers.PhimoeConfig}


@pytest.mark.parametrize("name", PHI)
@pytest.mark.parametrize("length", range(10, 19))
def test_a_label_that_reaches_over_the_trained_length_is_read_with_its_whole_text(
    name: str, length: int, cache: Path
) -> None:
    stretched = {"original_max_position_embeddings": 16, "rope_parameters": dict(_LONG_ROPE), "num_local_experts": 2}
    make = functools.partial(PHI[name], **(GROUPED | stretched | {"max_position_embeddings": 64}))
    prompts = draw_prompts(0, 0, (length,), SEVERAL_TOKENS)
    engine = make_engine(random_model(make()), cache)
    scored = engine.score(prompts, resolve((), engine.card), 1).log_likelihoods[0]
    for label, score in zip(SEVERAL_TOKENS, scored, strict=True):
        expected = read_whole(random_model(make()), prompts, prompts.queries[0], label)
        torch.testing.assert_close(score, expected, atol=1e-5, rtol=0)
