"""What trials measure while they read their demonstrations is what the definitions give for the clipped model."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.placement import spread
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.theory import gradients
from tests.trials.architectures import ARCHITECTURES, build_model, random_model
from tests.trials.devices import several_devices
from tests.trials.reference import edit_in_place
from tests.trials.theory.by_hand import (
    draw_prompts,
    gradients_by_hand,
    log_norms,
    make_engine,
    softmax_norms_by_hand,
    updates_by_hand,
)

MEASURED = ("gptj", "gpt2", "gpt_neox", "llama", "qwen3", "gemma3_text", "falcon-40b", "mixtral")
KEEPS_ALL_KEYS = tuple(name for name in MEASURED if name != "gemma3_text")  # its own cache drops what left a window
CLIPS = [
    (),
    (Clip(layer=0, module="attn", clip_rate=0.7),),
    (Clip(layer=0, module="mlp", clip_rate=0.7),),
    (Clip(layer=1, module="q", clip_rate=0.7),),
    (Clip(layer=1, module="mlp", clip_rate=0.7),),
]


@functools.cache
def model_of(name: str) -> PreTrainedModel:
    return build_model(name)


@functools.cache
def deep_model(name: str) -> PreTrainedModel:
    config = ARCHITECTURES[name]()
    config.num_hidden_layers = 4
    return random_model(config)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def measure(model: PreTrainedModel, trials: list[tuple[Clip, ...]], cache: Path) -> list[ImplicitNorms]:
    engine = make_engine(model, cache)
    prompts = draw_prompts()
    found = [engine.score(prompts, resolve(clips, engine.card), 2).implicit for clips in trials]
    return [norms for norms in found if norms is not None]


@pytest.mark.parametrize("name", MEASURED)
def test_updates_are_those_of_the_clipped_model(name: str, cache: Path) -> None:
    model, prompts = model_of(name), draw_prompts()
    found = measure(model, CLIPS, cache)
    for clips, norms in zip(CLIPS, found, strict=True):
        updates = updates_by_hand(edit_in_place(model, clips), prompts)
        assert norms.delta_w == pytest.approx(log_norms(updates), abs=1e-4)
        assert norms.implicit_gradient == pytest.approx(log_norms(gradients_by_hand(updates)), abs=1e-4)


@pytest.mark.parametrize("name", KEEPS_ALL_KEYS)
def test_norms_in_feature_space_are_those_of_the_clipped_model(name: str, cache: Path) -> None:
    model, prompts = model_of(name), draw_prompts()
    found = measure(model, CLIPS, cache)
    for clips, norms in zip(CLIPS, found, strict=True):
        expected = softmax_norms_by_hand(edit_in_place(model, clips), prompts)
        assert norms.delta_w_softmax == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["gptj", "llama"])
@pytest.mark.parametrize(("module", "first_changed"), [("attn", 2), ("q", 2), ("mlp", 3)])
def test_a_clip_changes_the_norms_from_its_layer_on_and_no_others(
    name: str, module: str, first_changed: int, cache: Path
) -> None:
    untouched, clipped = measure(deep_model(name), [(), (Clip(layer=2, module=module, clip_rate=0.8),)], cache)
    for before, after in (
        (untouched.delta_w, clipped.delta_w),
        (untouched.implicit_gradient, clipped.implicit_gradient),
    ):
        assert [one != other for one, other in zip(before, after, strict=True)] == [
            layer >= first_changed for layer in range(4)
        ]


def test_a_clip_of_queries_leaves_the_feature_space_of_its_own_layer(cache: Path) -> None:
    untouched, clipped = measure(deep_model("llama"), [(), (Clip(layer=2, module="q", clip_rate=0.8),)], cache)
    assert untouched.delta_w_softmax[:3] == clipped.delta_w_softmax[:3]
    assert untouched.delta_w_softmax[3] != clipped.delta_w_softmax[3]


def test_a_clip_of_the_last_mlp_changes_nothing(cache: Path) -> None:
    untouched, clipped = measure(deep_model("llama"), [(), (Clip(layer=3, module="mlp", clip_rate=0.8),)], cache)
    assert clipped.delta_w == untouched.delta_w
    assert clipped.delta_w_softmax == untouched.delta_w_softmax
    assert clipped.implicit_gradient == untouched.implicit_gradient
    assert clipped.seconds == 0 < untouched.seconds


def test_a_trial_goes_on_with_the_probes_that_enter_its_start(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "MOST_PROBES", 5)
    monkeypatch.setattr(gradients.draw_probes, "__defaults__", (5,))
    model, clips = deep_model("gptj"), (Clip(layer=2, module="attn", clip_rate=0.8),)
    prompts = draw_prompts()
    _, clipped = measure(model, [(), clips], cache)
    columns = gradients.draw_probes(32)
    start = columns.columns.double() * columns.log_scale.exp()
    expected = []
    updates = updates_by_hand(edit_in_place(model, clips), prompts)
    for update in updates:
        moved = update @ start
        expected.append(float(torch.linalg.matrix_norm(moved).log()))
        start = start + moved
    expected[0] = float(torch.linalg.matrix_norm(updates[0]).log())  # G_1 is ΔW_1, and takes no probes
    assert clipped.implicit_gradient == pytest.approx(expected, abs=1e-4)


def test_a_block_that_cannot_be_measured_is_passed_over(cache: Path) -> None:
    model = deep_model("gptj")
    engine = make_engine(model, cache)
    stage = engine._kept._stage
    assert stage is not None
    stage.attentions = tuple(None if layer == 1 else each for layer, each in enumerate(stage.attentions))
    norms = engine.score(draw_prompts(), resolve((), engine.card), 2).implicit
    assert norms is not None
    updates = updates_by_hand(model, draw_prompts())
    del updates[1]
    assert norms.delta_w[1] is norms.delta_w_softmax[1] is norms.implicit_gradient[1] is None
    rest = [log for log in norms.implicit_gradient if log is not None]
    assert rest == pytest.approx(log_norms(gradients_by_hand(updates)), abs=1e-4)


def test_a_model_on_several_devices_measures_the_same(cache: Path) -> None:
    clips: list[tuple[Clip, ...]] = [(), (Clip(layer=0, module="attn", clip_rate=0.7),)]
    alone = measure(build_model("llama"), clips, cache)
    with several_devices():
        model = build_model("llama")
        spread(model, [torch.device("cpu:0"), torch.device("cpu:1")])
        assert len({parameter.device for parameter in model.parameters()}) == 2
        spread_out = measure(model, clips, cache)
    for one, other in zip(alone, spread_out, strict=True):
        assert replace(one, seconds=0) == replace(other, seconds=0)


def test_half_precision_measures_about_the_same(cache: Path) -> None:
    clips: list[tuple[Clip, ...]] = [(), (Clip(layer=0, module="attn", clip_rate=0.7),)]
    full, half = (measure(build_model("llama").to(dtype), clips, cache) for dtype in (torch.float32, torch.bfloat16))
    for one, other in zip(full, half, strict=True):
        assert other.delta_w == pytest.approx(one.delta_w, abs=0.05)  # weights and states have 8 bits
        assert other.delta_w_softmax == pytest.approx(one.delta_w_softmax, abs=0.2)
