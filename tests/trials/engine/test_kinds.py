"""Each kind of clip gives what putting its matrix in place and running each prompt alone gives.

No prediction differs, as in ``test_exactness.py``; scores agree to 5e-5 of the spread of the logits.
"""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from clipsweep.trials.base.errors import EvaluationError, SpecError, TaskError
from clipsweep.trials.clips.matrix_inputs import read_grams
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.prompts.prompts import Prompts, Tokens
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, Texts
from tests.trials.engine.test_exactness import (
    LENGTHS,
    ONE_TOKEN,
    assert_equal,
    draw_prompts,
    make_engine,
    model_of,
    shapes_of,
)
from tests.trials.kinds_in_place import CLIPS, kind_clip, kinds_in_place
from tests.trials.reference import run_one_by_one

ARCHITECTURES = ("gptj", "gpt2", "gpt_neox", "llama", "mixtral")
MIXTURE = "mixtral"
ROUNDED = 5e-5  # the reference forms its weights in another way, which rounds otherwise, and not the same everywhere
PROMPTS = draw_prompts(0, 12, LENGTHS, ONE_TOKEN)
TEXTS = tuple(PROMPTS.prefix + query.tokens for query in PROMPTS.queries)


def read_texts(texts: Texts) -> tuple[Tokens, ...]:
    return TEXTS


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def with_texts() -> Prompts:
    return replace(PROMPTS, texts=read_texts)


def clips_of(kind: str, name: str) -> tuple[Clip, ...]:
    """Both parts of the first block, and one matrix of the last; whitened passes over the experts of a mixture."""
    modules = ("attn",) if (kind, name) == ("whitened", MIXTURE) else ("attn", "mlp")
    return (*(kind_clip(kind, 0, module) for module in modules), kind_clip(kind, 1, "k"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_kind_gives_what_its_definition_put_in_place_gives(name: str, kind: str, cache: Path) -> None:
    model, clips = model_of(name), clips_of(kind, name)
    scored = make_engine(model, cache).score(with_texts(), resolve(clips, shapes_of(name)), 2)
    assert assert_equal(scored, run_one_by_one(kinds_in_place(model, clips, TEXTS), PROMPTS), ROUNDED) == 0


def test_a_model_that_reads_full_prompts_reads_inputs_too(cache: Path) -> None:
    model, clips = model_of("openai-gpt"), clips_of("whitened", "openai-gpt")
    scored = make_engine(model, cache).score(with_texts(), resolve(clips, shapes_of("openai-gpt")), 2)
    assert assert_equal(scored, run_one_by_one(kinds_in_place(model, clips, TEXTS), PROMPTS)) == 0


def test_every_kind_is_in_that_test() -> None:
    assert KINDS.keys() == CLIPS.keys()


def test_clips_of_several_kinds_stand_in_one_trial(cache: Path) -> None:
    model = model_of("llama")
    clips = kind_clip("random", 0, "q"), kind_clip("whitened", 0, "mlp"), kind_clip("tail", 1, "attn")
    scored = make_engine(model, cache).score(with_texts(), resolve(clips, shapes_of("llama")), 3)
    assert assert_equal(scored, run_one_by_one(kinds_in_place(model, clips, TEXTS), PROMPTS)) == 0


def test_a_model_is_as_it_was_after_its_inputs_were_read(cache: Path) -> None:
    model = model_of("gpt2")
    engine, untouched = make_engine(model, cache), resolve((), shapes_of("gpt2"))
    before = engine.score(PROMPTS, untouched, 2).log_likelihoods
    engine.score(with_texts(), resolve([kind_clip("whitened")], engine.card), 2)
    assert torch.equal(engine.score(PROMPTS, untouched, 2).log_likelihoods, before)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_inputs_are_read_once_for_all_rates_and_all_matrices_of_a_clip(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(wraps=read_grams)
    monkeypatch.setattr("clipsweep.trials.clips.matrix_inputs.read_grams", read)
    engine = make_engine(model_of("gptj"), cache)
    trials = [resolve([kind_clip("whitened", clip_rate=rate)], engine.card) for rate in (0.5, 0.75)]
    engine.score_all(with_texts(), trials, 2)
    assert read.call_count == 1


def test_whitened_without_texts_is_refused_in_words(cache: Path) -> None:
    engine = make_engine(model_of("gptj"), cache)
    with pytest.raises(EvaluationError, match=r"transformer\.h\.0\.mlp\.fc_in depends on what it reads over demonstr"):
        engine.score(PROMPTS, resolve([kind_clip("whitened")], engine.card), 2)


def test_whitened_refuses_the_experts_of_a_mixture() -> None:
    with pytest.raises(SpecError, match="'whitened' cannot take module 'mlp' of layer 0: it has 3 experts"):
        resolve([kind_clip("whitened")], shapes_of(MIXTURE))


def test_texts_that_are_not_there_end_the_trial_with_their_words(cache: Path) -> None:
    def missing(texts: Texts) -> tuple[Tokens, ...]:
        raise TaskError("no demonstrations")

    engine = make_engine(model_of("gptj"), cache)
    with pytest.raises(TaskError, match="no demonstrations"):
        engine.score(replace(PROMPTS, texts=missing), resolve([kind_clip("whitened")], engine.card), 2)
