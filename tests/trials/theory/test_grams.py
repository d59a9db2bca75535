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
from clipsweep.trials.theory import attention, grams, stage
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


def both_of(update: Update) -> tuple[float, bool]:
    heads = len(update.core)
    outer, queries = Gram.form(update.outer, heads), Gram.form(update.queries.T, heads)
    log, has_digits = log_norm_by_grams(update.core, outer, queries)
    return float(log), bool(has_digits)


def by_grams(update: Update) -> float:
    log, has_digits = both_of(update)
    assert has_digits
    return log


def draw_steep(smallest: float) -> Update:
    """Heads of O whose singular values fall from 1 to this, and an M along the smallest; no axis is special."""
    heads, size, width = 4, 16, 64
    draw = torch.Generator().manual_seed(0)

    def turn(rows: int) -> Tensor:
        turned: Tensor = torch.linalg.qr(torch.randn(rows, size, generator=draw)).Q
        return turned

    values = torch.logspace(0, math.log10(smallest), size)
    rights = [turn(size) for _ in range(heads)]
    outer = torch.cat([turn(width) * values @ right.T for right in rights], dim=1)
    core = torch.stack([torch.outer(right[:, -1], torch.randn(size, generator=draw)) for right in rights])
    return Update(outer=outer, core=core, queries=torch.randn(heads * size, width, generator=draw))


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


@pytest.mark.parametrize("smallest", [1e-2, 1e-3, 1e-4])
def test_of_an_update_along_small_singular_values_they_say_that_digits_are_lost(smallest: float) -> None:
    update = draw_steep(smallest)
    log, has_digits = both_of(update)
    assert not has_digits
    assert abs(log - exactly(update)) > 1e-6
    assert float(update.log_norm()) == pytest.approx(exactly(update), abs=1e-5)


def test_they_say_so_where_heads_cancel_each_other() -> None:
    update = draw_update(heads=2)
    outer = update.outer[:, :3].repeat(1, 2)
    queries = update.queries[:2].repeat(2, 1)
    for off, expected in ((1e-3, False), (1.0, True)):
        core = torch.stack([update.core[0], off * update.core[1] - update.core[0]])
        assert both_of(Update(outer=outer, core=core, queries=queries))[1] is expected


@pytest.mark.parametrize("factor", [1e15, 1e-25])
def test_they_say_so_of_weights_whose_squares_float32_does_not_hold(factor: float) -> None:
    update = draw_update(heads=4)
    assert not both_of(replace(update, outer=factor * update.outer, queries=factor * update.queries))[1]


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
        grams_held = [gram for each in attentions for gram in (held.of(each.o), held.of(each.q)) if gram is not None]
        assert sum(stripe.nbytes for gram in grams_held for stripe in gram.stripes) == expected * BLOCK


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
    held.form(attentions[0])
    assert held.give_up()
    assert held.of(attentions[0].o) is None
    assert not held.give_up()


def test_once_given_up_none_are_formed_until_they_are_restored() -> None:
    parameters, attentions = parts()
    held = HeldGrams(parameters, attentions, ROOM)
    held.form(attentions[0])
    held.give_up()
    held.form(attentions[0])
    assert held.of(attentions[0].o) is None
    assert not held.give_up()
    held.restore()
    held.form(attentions[0])
    assert held.of(attentions[0].o) is not None


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


def test_a_norm_that_they_lose_is_that_of_the_whole_product(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials: list[tuple[Clip, ...]] = [(), (Clip(layer=1, module="mlp", clip_rate=0.7),)]
    expected = measure(cache, 1, *trials)
    monkeypatch.setattr(grams, "LEAST_SHARE", 1.0)
    found = measure(cache, ROOM, *trials)
    for one, other in zip(found, expected, strict=True):
        assert one.delta_w == other.delta_w
        assert one.implicit_gradient == other.implicit_gradient


def test_a_norm_that_they_lose_is_missing_where_memory_runs_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage._say_out_of_memory.cache_clear()

    def fails(_: Update) -> Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(grams, "LEAST_SHARE", 1.0)
    monkeypatch.setattr(Update, "log_norm", fails)
    (found,) = measure(cache, ROOM, ())
    assert found.delta_w == found.delta_w_softmax == (None,) * 4
    assert found.implicit_gradient[0] is None
    assert None not in found.implicit_gradient[1:]
