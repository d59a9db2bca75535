"""A study that asks for a screen has one before its search begins, and once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.run import session
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.upkeep.verify import verify_study
from clipsweep.trials.base.errors import EvaluationError, StudyError
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from tests.trials.architectures import build_model

MakeStudy = Callable[..., dict[str, Any]]
SCREENED = {"task": {"validation_size": 60}, "search": {"screen": {"rows": 50}}, "space": {"shots": [0, 2]}}


@pytest.fixture
def screened(monkeypatch: pytest.MonkeyPatch) -> list[ScreenRequest]:
    """What a replica screens from now on."""
    seen: list[ScreenRequest] = []
    screen = Replica.screen

    def watch(self: Replica, request: ScreenRequest) -> Screened:
        seen.append(request)
        return screen(self, request)

    monkeypatch.setattr(Replica, "screen", watch)
    monkeypatch.setattr(session, "_write_report", lambda *_: None)  # which takes longer than all else
    return seen


def run(content: dict[str, Any], folder: Path, cache: Path) -> None:
    session.run_study(check_study(content), folder, cache, Console(quiet=True))


def test_every_prompt_set_is_screened_once_and_predicted_from(
    make_study: MakeStudy, tmp_path: Path, cache: Path, screened: list[ScreenRequest]
) -> None:
    run(make_study(**SCREENED), tmp_path / "s", cache)
    run(make_study(**SCREENED), tmp_path / "s", cache)
    assert [(each.prompt_set.shots, each.rows, len(each.clips)) for each in screened] == [(0, 50, 4), (2, 50, 4)]
    opened = reopen(tmp_path / "s")
    prompt_set = PromptSet(shots=2, demo_seed=0, split="validation")
    both = [Clip(layer=layer, module="mlp", clip_rate=0.9) for layer in (0, 1)]
    predicted = opened.screen.screens().predict(prompt_set, both)
    assert predicted is not None
    assert predicted.gain_error > 0
    assert verify_study(opened).faults == []


def test_a_new_rate_is_screened_with_the_others_of_its_prompts(
    make_study: MakeStudy, tmp_path: Path, cache: Path, screened: list[ScreenRequest]
) -> None:
    run(make_study(**SCREENED), tmp_path / "s", cache)
    screened.clear()
    run(make_study(**SCREENED | {"space": {"shots": [0], "clip_rates": [0, 0.5, 0.8, 0.9]}}), tmp_path / "s", cache)
    assert [(each.prompt_set.shots, len(each.clips)) for each in screened] == [(0, 6)]


def test_too_few_validation_rows_are_refused_before_a_model_is_loaded(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(StudyError, match="search.screen would see 20 rows, as validation has no more; expected 50"):
        run(make_study(search={"screen": {}}), tmp_path / "s", cache)


def test_fewer_rows_than_fifty_are_refused(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match=r"search.screen.rows.* 49.* expected 50 rows or more"):
        check_study(make_study(search={"screen": {"rows": 49}}))


def test_other_kinds_of_clip_are_refused(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match=r"'search.screen' predicts .* space.kinds is \['svd', 'zero'\]"):
        check_study(make_study(search={"screen": {}}, space={"kinds": ["svd", "zero"]}))


def test_a_model_that_is_run_on_full_prompts_is_refused_in_words(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    tokenizer = build_tokenizer()
    build_model("openai-gpt", vocabulary_size=len(tokenizer)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    model = {"path": str(tmp_path / "model")}
    with pytest.raises(EvaluationError, match="a screen needs a model that is run block by block"):
        run(make_study(**SCREENED, model=model), tmp_path / "s", cache)


@pytest.mark.parametrize("search", [{"sampler": "tpe"}, {"sampler": "neighbours", "race": "neighbours"}])
def test_the_points_of_which_a_screen_predicts_most_begin_first(
    make_study: MakeStudy, tmp_path: Path, cache: Path, search: dict[str, str], screened: list[ScreenRequest]
) -> None:
    content = make_study(
        task={"validation_size": 100},
        space={"shots": [2], "clip_rates": [0.5, 0.8, 0.9], "modules": ["attn", "mlp"]},
        search={"driver": "bayes", "n_trials": 3, "screen": {"rows": 50}, **search},
    )
    run(content, tmp_path / "s", cache)
    opened = reopen(tmp_path / "s")
    prompt_set, screens = PromptSet(shots=2, demo_seed=0, split="validation"), opened.screen.screens()
    assert len(screened) == 1

    def gain(clips: tuple[Clip, ...]) -> float:
        predicted = screens.predict(prompt_set, clips)
        assert predicted is not None
        return predicted.gain

    clips = {point.clips for point in opened.points(opened.table.read().latest()) if point.clips}
    assert len(clips) == 3
    assert sorted(map(gain, clips)) == sorted(gain((clip,)) for clip in screened[0].clips)[-3:]
