"""Which errors say that a model is run on full prompts, and which are mistakes of our own."""

import logging
from typing import Any

import pytest
import torch

from clipsweep.trials.decoder.blocks import Blocks
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine.passes import Passes
from clipsweep.trials.engine.probe import TogetherCheck, try_decoder
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.prompts.prompts import Prompts, Query
from tests.trials.architectures import build_model


def raising(error: Exception) -> Any:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def misspelt(self: Passes, *args: Any, **kwargs: Any) -> Any:
    """A mistake in our own code, as it would be written there."""
    return self._decodr  # type: ignore[attr-defined]


def as_ours(function: Any) -> Any:
    """The same function as if it were written in a module of clipsweep."""
    return type(function)(function.__code__, vars(__import__("clipsweep.trials.engine.passes", fromlist=["Passes"])))


def no_numbers_together(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """What a module gives, but no numbers where several texts run together."""
    return output * (1 if len(output) == 1 else torch.nan)


def test_a_mistake_of_our_own_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("gptj")
    monkeypatch.setattr(Passes, "visit", as_ours(misspelt))
    with pytest.raises(AttributeError, match="_decodr"):
        try_decoder(model, find_layout(model))


@pytest.mark.parametrize("error", [AttributeError("no such cache"), TypeError("unexpected"), RuntimeError("shapes")])
def test_an_error_of_the_models_own_code_means_full_prompts(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model("gptj")
    monkeypatch.setattr(model.transformer.h[1].mlp, "forward", raising(error))
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        assert try_decoder(model, find_layout(model)) is None
    assert f"gptj is run on full prompts, which is slower: {error}" in caplog.text


def test_no_memory_says_nothing_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("gptj")
    monkeypatch.setattr(model.transformer.h[1].mlp, "forward", raising(torch.OutOfMemoryError("no room")))
    with pytest.raises(torch.OutOfMemoryError):
        try_decoder(model, find_layout(model))


def test_a_block_that_answers_no_hidden_state_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model("gptj")
    block = model.transformer.h[0]
    monkeypatch.setattr(block, "forward", lambda hidden, *args, **kwargs: {"hidden": hidden})
    monkeypatch.setattr(model.transformer, "forward", lambda *args, **kwargs: block(torch.zeros(1, 1, 32)))
    assert try_decoder(model, find_layout(model)) is None
    assert "a part of it answers dict, not a hidden state" in caplog.text


def test_a_block_with_a_hidden_state_of_four_axes_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model("gptj")
    bind = Decoder._bind
    monkeypatch.setattr(Decoder, "_bind", lambda self, args, kwargs: bind(self, (args[0][None], *args[1:]), kwargs))
    assert try_decoder(model, find_layout(model)) is None
    assert "its blocks are called with a hidden state of 4 axes" in caplog.text


def test_blocks_that_give_other_scores_alone_are_a_finding(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model("gptj")
    run = Blocks.run
    monkeypatch.setattr(Blocks, "run", lambda self, *args, **kwargs: 2 * run(self, *args, **kwargs))
    assert try_decoder(model, find_layout(model)) is None
    assert "run block by block it gives other scores" in caplog.text


def test_prompts_whose_scores_are_no_numbers_together_are_run_alone() -> None:
    model = build_model("gptj")
    model.lm_head.register_forward_hook(no_numbers_together)
    labels = ((1,), (2,))
    queries = tuple(Query(tokens=tokens, labels=labels, gold=0) for tokens in ((4, 5), (6, 7, 3)))
    with torch.inference_mode():
        assert not TogetherCheck(model, None).passes(Prompts(prefix=(1, 2), queries=queries), 2)


def test_a_model_that_gives_no_numbers_block_by_block_is_run_on_full_prompts() -> None:
    model = build_model("gptj")
    model.transformer.h[1].mlp.register_forward_hook(no_numbers_together)
    assert try_decoder(model, find_layout(model)) is None
