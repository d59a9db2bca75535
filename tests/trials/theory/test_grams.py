"""Norms by Gram matrices are those of the whole product; they are held within their room, of no clipped weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.theory import attention, stage
from clipsweep.trials.theory.attention import BlockAttention, find_attentions
from clipsweep.trials.theory.grams import Gram, HeldGrams, log_norm_by_grams
from clipsweep.trials.theory.softmax import output_products
from clipsweep.trials.theory.updates import Update
from tests.trials.architectures import card_of
from tests.trials.theory.by_hand import draw_prompts
from tests.trials.theory.test_stage import deep_model

ROOM = 10**6
BLOCK = 4 * 2 * (4 * 5 // 2) * 8 * 8  # of four heads of 8 the pairs h ≤ h', twice, in float32


def draw_update(heads: int, value_size: int = 3, key_size: int = 2, width: int = 20) -> Update:
    draw = torch.Generator().manual_seed(heads)
    shapes = (width, heads * value_size), (heads, value_size, key_size), (heads * key_size, width)
    outer, core, queries = (torch.randn(shape, generator=draw) for shape in shapes)
    return Update(outer=outer, core=core, queries=queries)


def by_grams(update: Update) -> float:
    heads = len(update.core)
    return float(log_norm_by_grams(update.core, Gram.form(update.outer, heads), Gram.form(update.queries.T, heads)))


def exactly(update: Update) -> float:
    inner = update.core.double() @ update.queries.double().view(len(update.core), -1, update.queries.shape[1])
    return float(torch.linalg.matrix_norm(update.outer.double() @ inner.flatten(0, 1)).log())


def test_a_norm_solved_by_hand() -> None:
    # O = ((1, 1), (0, 1)) of two heads, M = 2 and 3, Q = ((1, 0), (0, 1)): O M Q = ((2, 3), (0, 3)); 4 + 9 + 9 = 22
    core = torch.tensor([[[2.0]], [[3.0]]])
    update = Update(outer=torch.tensor([[1.0, 1.0], [0.0, 1.0]]), core=core, queries=torch.eye(2))
    assert by_grams(update) == pytest.approx(math.log(22) / 2, abs=1e-7)


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 5, 7, 8, 9, 12])
def test_a_norm_is_that_of_the_whole_product(heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "ENTRIES_AT_ONCE", 60)
    update = draw_update(heads)
    assert by_grams(update) == pytest.approx(exactly(update), abs=3e-7)
    assert float(update.log_norm()) == pytest.approx(exactly(update), abs=3e-7)


def test_of_wide_matrices_a_norm_has_the_digits_of_the_whole_product() -> None:
    update = draw_update(heads=8, value_size=32, key_size=32, width=256)
    assert by_grams(update) == pytest.approx(exactly(update), abs=1e-7)


def test_an_update_of_zero_has_a_norm_of_zero() -> None:
    update = draw_update(heads=4)
    assert by_grams(replace(update, core=0 * update.core)) == -math.inf


def test_squares_beyond_float32_do_not_overflow() -> None:
    update = draw_update(heads=4)
    assert by_grams(replace(update, core=1e30 * update.core)) == pytest.approx(
        by_grams(update) + 30 * math.log(10), abs=1e-6
    )


def test_what_is_not_finite_has_no_norm() -> None:
    update = draw_update(heads=4)
    assert math.isnan(by_grams(replace(update, core=update.core + math.inf)))


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_products_of_outputs_are_on_its_diagonal(groups: int) -> None:
    output = draw_update(heads=6).outer
    expected = output_products(output, groups, 3)
    torch.testing.assert_close(Gram.form(output, 6).of_groups(groups), expected)


def parts() -> tuple[Mapping[str, Tensor], Sequence[BlockAttention]]:
    model = deep_model("gptj")
    found = find_attentions(model, find_layout(model))
    return dict(model.named_parameters()), [each for each in found if each is not None]


def test_the_last_blocks_are_held_and_no_more_than_have_room() -> None:
    parameters, attentions = parts()
    for room, expected in ((0, 0), (BLOCK, 1), (2 * BLOCK, 2), (3 * BLOCK - 1, 2), (ROOM, 4)):
        held = HeldGrams(parameters, attentions, room)
        for each in attentions:
            held.form(each)
        found = [held.of(each.o) is not None and held.of(each.q) is not None for each in attentions]
        assert found == [False] * (4 - expected) + [True] * expected
        grams = [gram for each in attentions for gram in (held.of(each.o), held.of(each.q)) if gram is not None]
        assert sum(stripe.nbytes for gram in grams for stripe in gram.stripes) == expected * BLOCK


def test_a_clipped_matrix_has_none_and_forms_none() -> None:
    parameters, attentions = parts()
    held, (early, late) = HeldGrams(parameters, attentions, ROOM), attentions[1:3]
    held.form(early)
    swapped = {name: parameters[name].data for name in (early.o.parameter, late.o.parameter)}
    for name, own in swapped.items():
        parameters[name].data = own.clone()
    held.form(late)
    assert [held.of(each.o) for each in (early, late)] == [None, None]
    assert all(held.of(each.q) is not None for each in (early, late))
    for name, own in swapped.items():
        parameters[name].data = own
    assert held.of(early.o) is not None
    assert held.of(late.o) is None


def test_what_is_given_up_is_no_longer_held() -> None:
    parameters, attentions = parts()
    held = HeldGrams(parameters, attentions, ROOM)
    assert not held.give_up()
    held.form(attentions[0])
    assert held.give_up()
    assert held.of(attentions[0].o) is None


def measure(cache: Path, room: int, *trials: tuple[Clip, ...]) -> list[ImplicitNorms]:
    model = deep_model("llama")
    budget = Budget(device_bytes=10**9, host_bytes=0, trials_bytes=room)
    engine, prompts = Engine(model, card_of(model), FactorCache(cache), budget, theory=True), draw_prompts()
    found = [engine.score(prompts, resolve(clips, engine.card), 2).implicit for clips in trials]
    return [norms for norms in found if norms is not None]


@pytest.mark.parametrize("module", ["attn", "q", "k", "v", "o", "mlp"])
def test_trials_measure_the_same_with_and_without(module: str, cache: Path) -> None:
    trials: list[tuple[Clip, ...]] = [(), (Clip(layer=1, module=module, clip_rate=0.7),)]
    for one, other in zip(measure(cache, ROOM, *trials), measure(cache, 1, *trials), strict=True):
        assert one.delta_w == pytest.approx(other.delta_w, abs=1e-6)
        assert one.delta_w_softmax == pytest.approx(other.delta_w_softmax, abs=1e-6)
        assert one.implicit_gradient == pytest.approx(other.implicit_gradient, abs=1e-6)


def test_a_trial_forms_the_whole_product_of_a_block_alone_that_it_clips(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[Update] = []
    form = Update.log_norm

    def noted(update: Update) -> Tensor:
        whole.append(update)
        return form(update)

    monkeypatch.setattr(Update, "log_norm", noted)
    measure(cache, ROOM, (), (Clip(layer=1, module="mlp", clip_rate=0.7),), (Clip(layer=1, module="k", clip_rate=0.7),))
    assert not whole
    measure(cache, ROOM, (), (Clip(layer=1, module="q", clip_rate=0.7),))
    assert len(whole) == 1


def test_without_memory_to_form_them_the_whole_product_is_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (expected,) = measure(cache, 1, ())
    stage._say_out_of_memory.cache_clear()

    def fails(*_: object) -> Gram:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Gram, "form", fails)
    (found,) = measure(cache, ROOM, ())
    assert replace(found, seconds=0) == replace(expected, seconds=0)
