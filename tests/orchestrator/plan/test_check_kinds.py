"""Kinds of clip that a study cannot have are refused before a replica starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import Lfm2Config, PreTrainedConfig, Qwen3NextConfig

from clipsweep.orchestrator.plan.check_kinds import check_kinds, measurable_blocks
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import SpecError, StudyError, TaskError
from clipsweep.trials.models import load
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import ARCHITECTURES, build_model, card_of
from tests.trials.theory.test_attention import SMALL

MakeStudy = Callable[..., dict[str, Any]]


def whitened(module: str, options: str | None = None) -> list[Clip]:
    return [Clip(layer=1, module=module, clip_rate=0.5, kind="whitened", options=options)]


def test_demonstrations_that_there_are_not_are_refused_by_the_study(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    study = check_study(make_study(space={"kinds": ["svd", "whitened"], "shots": [0, 2]}))
    with pytest.raises(TaskError, match="with 0 shots there are none; expected 1 shot or more. Set its option split"):
        prepare(study, tmp_path / "s", cache)
    assert not (tmp_path / "s").exists()


def test_more_rows_than_validation_has_are_refused() -> None:
    card = card_of(build_model("mixtral"))
    many = '{"split": "validation", "rows": 41}'
    with pytest.raises(TaskError, match="the first 41 rows of validation, which has 40; expected as many. Lower"):
        check_kinds(whitened("attn", many), card, [0], 40)
    check_kinds(whitened("attn", many), card, [0], 41)


def test_matrices_that_a_kind_cannot_take_are_refused() -> None:
    card = card_of(build_model("mixtral"))
    with pytest.raises(SpecError, match="'whitened' cannot take module 'mlp' of layer 1: it has 3 experts"):
        check_kinds(whitened("mlp"), card, [4], 40)
    check_kinds(whitened("attn"), card, [4], 40)


def test_theory_without_demonstrations_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(space={"shots": [0]}) | {"theory": True})
    with pytest.raises(
        StudyError, match="'theory' .* all trials have 0 shots; expected 1 shot or more somewhere. Raise"
    ):
        prepare(study, tmp_path / "s", cache)
    assert not (tmp_path / "s").exists()
    prepare(check_study(make_study(space={"shots": [0, 2]}) | {"theory": True}), tmp_path / "s", cache)


def test_theory_of_a_study_that_clips_nothing_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(space={"shots": [2], "clip_rates": [0]}) | {"theory": True})
    with pytest.raises(StudyError, match="no clip rate is above 0; expected one that is. Add one"):
        prepare(study, tmp_path / "s", cache)
    acting_at_zero = {"shots": [2], "clip_rates": [0], "kinds": ["zero"]}
    prepare(check_study(make_study(space=acting_at_zero) | {"theory": True}), tmp_path / "s", cache)


def test_theory_of_text_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"film {n} was good and plot {n} was bad"}) + "\n" for n in range(40)))
    task = {"name": "films", "text": {"path": str(rows), "length": 8}, "validation_size": 10, "test_size": 5}
    study = check_study(make_study(task=task, space={"shots": [0]}) | {"theory": True})
    with pytest.raises(StudyError, match="the task is text, which has none; expected a task with labels or answers"):
        prepare(study, tmp_path / "s", cache)


def config_of(name: str, **changed: Any) -> PreTrainedConfig:
    """Of a small model, with some keys changed."""
    config = ARCHITECTURES[name]()
    for key, value in changed.items():
        setattr(config, key, value)
    return config


def gated() -> PreTrainedConfig:
    """Of a model whose attention fuses a gate with its queries."""
    return Qwen3NextConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=8,
        intermediate_size=48,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        layer_types=["linear_attention", "full_attention"],
    )


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (config_of("gptj"), 2),
        (config_of("mixtral"), 2),
        (gated(), 0),
        (Lfm2Config(**SMALL, layer_types=["conv", "full_attention"]), 1),
    ],
)
def test_blocks_that_can_be_measured_are_counted_from_the_config(
    config: PreTrainedConfig, count: int, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.save_pretrained(tmp_path)
    assert measurable_blocks(tmp_path, cache) == count
    monkeypatch.setattr(load, "empty_model", None)  # the second time the cache knows
    assert measurable_blocks(tmp_path, cache) == count


def test_theory_of_a_model_of_which_no_block_can_be_measured_is_refused(
    make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = check_study(make_study() | {"theory": True})
    prepare(study, tmp_path / "s", cache)
    gated().save_pretrained(tmp_path / "gated")
    monkeypatch.setattr(
        "clipsweep.orchestrator.plan.prepare.measurable_blocks",
        lambda _checkpoint, cache: measurable_blocks(tmp_path / "gated", cache),
    )
    with pytest.raises(
        StudyError, match="no block of this model has one matrix each of q, k, v, o .* expected a model with such"
    ):
        prepare(study, tmp_path / "t", cache)
    assert not (tmp_path / "t").exists()
