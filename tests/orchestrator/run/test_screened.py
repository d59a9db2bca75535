"""A study that asks for a screen has one before its search begins, and once."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from clipsweep.analysis.screens.screen_file import ScreenFile
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.plan.estimate import describe_plan, plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run import session
from clipsweep.orchestrator.run.measure_screens import measure_screens
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


def test_a_screen_says_how_far_it_is_and_how_long_it_took(
    make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = prepare(check_study(make_study(**SCREENED)), tmp_path / "s", cache).opened
    monkeypatch.setattr(ScreenFile, "add", lambda *_: None)
    monkeypatch.setattr(type(opened.table), "check", lambda _: None)
    said: list[str] = []

    def replies(requests: Sequence[ScreenRequest]) -> Iterator[list[ScreenRequest]]:
        yield from ([], [requests[0]], [], [requests[1]])

    pool = SimpleNamespace(screen=replies)
    measure_screens(opened, cast(Callable[[], Pool], lambda: pool), said.append, lambda: False)
    assert said[0].startswith("one backward pass over 50 rows of 2 prompt sets")
    assert said[1:3] == ["1/2 prompt sets screened", "2/2 prompt sets screened"]
    assert said[3].startswith("2/2 prompt sets screened in 0:00; now trials can begin …")


def test_too_few_validation_rows_are_refused_before_a_model_is_loaded(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(StudyError, match="search.screen would see 20 rows, as validation has no more; expected 50"):
        run(make_study(search={"screen": {}}), tmp_path / "s", cache)


def test_more_rows_than_validation_has_are_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    content = make_study(task={"validation_size": 60}, search={"screen": {"rows": 5000}})
    words = r"search.screen.rows is 5,000, but validation has 60 rows; .* Lower search.screen.rows, or raise task"
    with pytest.raises(StudyError, match=words):
        plan_study(check_study(content), tmp_path / "s", cache)


def test_where_there_are_fewer_rows_than_by_default_all_are_screened_and_that_is_said(
    make_study: MakeStudy, tmp_path: Path, cache: Path, screened: list[ScreenRequest]
) -> None:
    content = make_study(task={"validation_size": 60}, search={"screen": {}})
    plan = plan_study(check_study(content), tmp_path / "s", cache)
    assert plan["screen"]["rows"] == 60
    assert "the screen takes all 60 rows of validation, as there are no more" in plan["notes"]
    run(content, tmp_path / "s", cache)
    table = reopen(tmp_path / "s").screen.table()
    assert [each.rows for each in screened] == [60] * len(screened)
    assert {(row["rows"], len(row["changes"])) for row in table.to_pylist()} == {(60, 60)}


def test_a_plan_tells_the_screen_and_counts_it_as_it_is_counted_later(
    make_study: MakeStudy, tmp_path: Path, cache: Path, screened: list[ScreenRequest]
) -> None:
    study, without = check_study(make_study(**SCREENED)), make_study(**SCREENED | {"search": {}})
    plan = plan_study(study, tmp_path / "s", cache)
    screen = plan["screen"]
    assert (screen["prompt_sets"], screen["rows"], screen["clips"], screen["chooses_layers"]) == (2, 50, 4, False)
    assert "\nscreen      50 rows x 2 prompt sets: about " in describe_plan(plan)
    bare = plan_study(check_study(without), tmp_path / "s", cache)
    assert bare["screen"] is None
    assert plan["operations"] == pytest.approx(bare["operations"] + screen["operations"])
    assert plan["hours"] > bare["hours"]
    run(make_study(**SCREENED), tmp_path / "s", cache)
    table = reopen(tmp_path / "s").screen.table()
    stored = {(row["shots"], row["demo_seed"]): row["operations"] for row in table.to_pylist()}
    assert screen["operations"] == pytest.approx(sum(stored.values()), rel=0.01)
    assert plan_study(study, tmp_path / "s", cache)["screen"] is None


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({}, True),
        ({"driver": "compose"}, True),
        ({"driver": "bayes", "n_trials": 3}, False),
        ({"race": "neighbours"}, False),
    ],
)
def test_a_plan_says_where_the_search_does_not_go_by_the_screen(
    make_study: MakeStudy, tmp_path: Path, cache: Path, search: dict[str, Any], told: bool
) -> None:
    content = make_study(task={"validation_size": 100}, search={"screen": {}, **search})
    notes = plan_study(check_study(content), tmp_path / "s", cache)["notes"]
    assert any("does not go by the screen, which is told in the report alone" in note for note in notes) is told


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
