"""Kinds of clip that a study cannot have are refused before a replica starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.plan.check_kinds import check_kinds
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import SpecError, TaskError
from clipsweep.trials.spec.kinds import KindOfClip, complete
from tests.trials.architectures import build_model, card_of

MakeStudy = Callable[..., dict[str, Any]]


def space_of(module: str, shots: int = 4, options: str = "{}") -> Space:
    return Space(
        model="m",
        task="t",
        shots=(shots,),
        demo_seeds=(0,),
        sites=(Site((1,), module),),
        kinds=(KindOfClip("svd"), KindOfClip("whitened", complete("whitened", options))),
        clip_rates=(0.5,),
        modules=(module,),
    )


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
        check_kinds(space_of("attn", 0, many), card, 40)
    check_kinds(space_of("attn", 0, many), card, 41)


def test_matrices_that_a_kind_cannot_take_are_refused() -> None:
    card = card_of(build_model("mixtral"))
    with pytest.raises(SpecError, match="'whitened' cannot take module 'mlp' of layer 1: it has 3 experts"):
        check_kinds(space_of("mlp"), card, 40)
    check_kinds(space_of("attn"), card, 40)
