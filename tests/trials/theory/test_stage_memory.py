"""Measuring takes little memory, and a trial for which there is not even that goes on without the numbers."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.theory import attention, stage
from clipsweep.trials.theory.attention import Projections
from clipsweep.trials.theory.softmax import log_norm_of_softmax, output_products
from clipsweep.trials.theory.updates import form_update
from tests.trials.theory.by_hand import draw_prompts, make_engine
from tests.trials.theory.test_stage import deep_model

CLIPS = (Clip(layer=1, module="attn", clip_rate=0.7),)
NO_ROOM = torch.OutOfMemoryError("no room")


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    stage._say_out_of_memory.cache_clear()
    yield
    stage._say_out_of_memory.cache_clear()


def score(cache: Path, *trials: tuple[Clip, ...]) -> list[LabelScores]:
    engine, prompts = make_engine(deep_model("llama"), cache), draw_prompts()
    return [engine.score(prompts, resolve(clips, engine.card), 2) for clips in trials]


def norms_of(scored: LabelScores) -> ImplicitNorms:
    assert scored.implicit is not None
    return scored.implicit


def run_out_at(monkeypatch: pytest.MonkeyPatch, name: str, *calls: int, error: Exception = NO_ROOM) -> None:
    """Make a function of the stage run out of memory at these calls, counted from 0."""
    works, count = getattr(stage, name), iter(range(99))

    def fails(*given: Any) -> Any:
        if next(count) in calls:
            raise error
        return works(*given)

    monkeypatch.setattr(stage, name, fails)


def test_a_block_without_room_has_no_numbers_and_the_trial_goes_on(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base, whole = score(cache, (), CLIPS)
    # four blocks untouched; of the clipped trial blocks 1 to 3 are read, the second of them again without Gram matrices
    run_out_at(monkeypatch, "form_update", 4 + 1, 4 + 2)
    with caplog.at_level(logging.WARNING):
        untouched, clipped = score(cache, (), CLIPS)
    assert norms_of(untouched).delta_w == norms_of(base).delta_w
    assert torch.equal(clipped.log_likelihoods, whole.log_likelihoods)
    assert clipped.microbatch == whole.microbatch
    found, expected = norms_of(clipped), norms_of(whole)
    assert found.delta_w[2] is found.delta_w_softmax[2] is None
    for layer in (0, 1, 3):
        assert found.delta_w[layer] == pytest.approx(expected.delta_w[layer], abs=1e-6)
        assert found.delta_w_softmax[layer] == pytest.approx(expected.delta_w_softmax[layer], abs=1e-6)
    assert found.implicit_gradient == (*expected.implicit_gradient[:2], None, None)  # block 3 lacks what block 2 adds
    assert [message for message in caplog.messages if "out of memory while the theory was measured" in message]


def test_gram_matrices_are_given_up_before_a_number_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, prompts = make_engine(deep_model("llama"), cache), draw_prompts()
    whole = [norms_of(engine.score(prompts, resolve(clips, engine.card), 2)) for clips in ((), CLIPS)]
    assert engine._kept.forget_trials()  # as where scoring runs out of memory
    assert not engine._kept.forget_trials()
    run_out_at(monkeypatch, "form_update", 0)
    found = [norms_of(score) for score in score_anew(engine)]
    for one, other in zip(found, whole, strict=True):
        assert one.delta_w == pytest.approx(other.delta_w, abs=1e-6)
        assert one.implicit_gradient == pytest.approx(other.implicit_gradient, abs=1e-6)
    assert not engine._kept.forget_trials()


@pytest.mark.parametrize("what", ["scored", "measured"])
@pytest.mark.parametrize("theory", [False, True])
def test_a_block_that_never_has_room_ends_its_trials(
    theory: bool, what: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = deep_model("gptj")
    engine, prompts = make_engine(model, cache, theory=theory), draw_prompts()
    for size in (4, 2, 1):
        assert (
            engine.decoder_for(prompts, size) is not None
        )  # which tries the prompts, so that they are not tried below
    calls = []

    def fails(*_: object) -> Tensor:
        calls.append(1)
        assert len(calls) < 100, "it goes on for ever"
        raise NO_ROOM

    monkeypatch.setattr(model.get_submodule("transformer.h.2.mlp"), "forward", fails)
    evaluate = engine.score_all if what == "scored" else engine.measure
    trials = [resolve(clips, engine.card) for clips in ((), CLIPS)]
    found = evaluate(prompts, trials, 4)
    if what == "measured" and not theory:
        assert found == [None, None]
        return
    assert [str(each) for each in found] == ["a microbatch of one does not fit in the device's memory (no room)."] * 2
    assert engine.n_halvings == 2  # by the first, to 1; the second begins there


def score_anew(engine: Engine) -> list[LabelScores]:
    """Of prompts that the engine has not read."""
    prompts = draw_prompts()
    return [engine.score(prompts, resolve(clips, engine.card), 2) for clips in ((), CLIPS)]


def test_probes_that_the_untouched_model_lost_are_not_made_up_for_a_trial(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, whole) = score(cache, (), CLIPS)
    run_out_at(monkeypatch, "form_update", 0, 1)
    untouched, clipped = score(cache, (), CLIPS)
    assert norms_of(untouched).implicit_gradient == (None,) * 4
    assert norms_of(untouched).delta_w[0] is None
    assert norms_of(clipped).implicit_gradient == (None,) * 4
    assert norms_of(clipped).delta_w[0] is None
    assert norms_of(clipped).delta_w[1:] == pytest.approx(norms_of(whole).delta_w[1:], abs=1e-6)


def test_a_number_in_feature_space_without_room_is_missing_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = score(cache, ())
    run_out_at(monkeypatch, "log_norm_of_softmax", 2, 3)
    (found,) = map(norms_of, score(cache, ()))
    assert found.delta_w_softmax[:3] == (*norms_of(whole).delta_w_softmax[:2], None)
    assert found.delta_w_softmax[3] == pytest.approx(norms_of(whole).delta_w_softmax[3], abs=1e-6)
    assert found.delta_w == norms_of(whole).delta_w
    assert found.implicit_gradient == norms_of(whole).implicit_gradient


def test_it_is_told_once(cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    run_out_at(monkeypatch, "form_update", *range(99))
    with caplog.at_level(logging.WARNING):
        untouched, clipped = score(cache, (), CLIPS)
    assert norms_of(untouched).delta_w == norms_of(clipped).delta_w == (None,) * 4
    assert len([message for message in caplog.messages if "theory" in message]) == 1


def test_another_error_is_raised(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_out_at(monkeypatch, "form_update", 0, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        score(cache, ())


class LargeStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps every storage of at least so many bytes that an operation gives, so that none comes at the same place."""

    def __init__(self, least: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._least = least
        self.held: dict[int, torch.UntypedStorage] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.dtype == torch.float32:
            storage = made.untyped_storage()
            if storage.nbytes() >= self._least:
                self.held[storage.data_ptr()] = storage
        return made


def test_of_half_precision_one_matrix_alone_is_ever_whole_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    width, heads, tokens = 64, 8, 5
    monkeypatch.setattr(attention, "ENTRIES_AT_ONCE", width * width // 4)
    draw = torch.Generator().manual_seed(0)
    q, k, v, o = (torch.randn(width, width, generator=draw).half() for _ in range(4))
    read = torch.randn(tokens, width, generator=draw).half()
    keys, values = (torch.randn(heads, tokens, width // heads, generator=draw).half() for _ in range(2))
    with LargeStorages(4 * width * width) as large:
        update = form_update(read, Projections(q=q, k=k, v=v, o=o, heads=heads, groups=heads), 1.0)
        norm = update.log_norm()
        update.times(torch.ones(width, 1))
        softmax = log_norm_of_softmax(keys, values, output_products(o, heads, width // heads), 1.0)
    assert len(large.held) == 1
    monkeypatch.undo()
    q, k, v, o = (matrix.float() for matrix in (q, k, v, o))
    whole = form_update(read, Projections(q=q, k=k, v=v, o=o, heads=heads, groups=heads), 1.0)
    assert float(norm) == pytest.approx(float(whole.log_norm()), abs=1e-6)
    products = output_products(o, heads, width // heads)
    assert float(softmax) == pytest.approx(float(log_norm_of_softmax(keys, values, products, 1.0)), abs=1e-6)


def test_a_number_lost_to_memory_fails_a_trial_that_is_measured_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, prompts = make_engine(deep_model("llama"), cache), draw_prompts()
    trials = [resolve(clips, engine.card) for clips in ((), CLIPS)]
    run_out_at(monkeypatch, "form_update", 4 + 1, 4 + 2)
    untouched, clipped = engine.measure(prompts, trials, 2)
    assert isinstance(untouched, ImplicitNorms)
    assert "memory ran out" in str(clipped)
    assert isinstance(clipped, EvaluationError)
    (again,) = engine.measure(prompts, trials[1:], 2)
    assert isinstance(again, ImplicitNorms)
    assert None not in again.delta_w


def test_so_does_one_that_the_untouched_model_lost(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, prompts = make_engine(deep_model("llama"), cache), draw_prompts()
    run_out_at(monkeypatch, "log_norm_of_softmax", 0, 1)
    trials = [resolve(clips, engine.card) for clips in ((), CLIPS)]
    assert {type(each) for each in engine.measure(prompts, trials, 2)} == {EvaluationError}
