"""Kinds of clip that a study cannot have are refused before a replica starts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.plan.check_kinds import check_kinds, check_theory
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import SpecError, StudyError, TaskError
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import build_model, card_of

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


def test_theory_of_text_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"film {n} was good and plot {n} was bad"}) + "\n" for n in range(40)))
    task = {"name": "films", "text": {"path": str(rows), "length": 8}, "validation_size": 10, "test_size": 5}
    study = check_study(make_study(task=task, space={"shots": [0]}) | {"theory": True})
    with pytest.raises(StudyError, match="the task is text, which has none; expected a task with labels or answers"):
        prepare(study, tmp_path / "s", cache)


def test_theory_of_a_model_without_attention_matrices_is_refused(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    study = check_study(make_study() | {"theory": True})
    space = prepare(study, tmp_path / "s", cache).opened.space
    card = card_of(build_model("gptj"))
    check_theory(card, space, of_text=False)
    fused = {(layer, role): held for (layer, role), held in card.shapes.items() if role != "k"}
    with pytest.raises(StudyError, match="no block of this gptj model has one matrix each of q, k, v, o"):
        check_theory(replace(card, shapes=fused), space, of_text=False)
    several = {key: tuple(shape._replace(count=3) for shape in held) for key, held in card.shapes.items()}
    with pytest.raises(StudyError, match="expected a model with such attention. Remove theory"):
        check_theory(replace(card, shapes=several), space, of_text=False)
