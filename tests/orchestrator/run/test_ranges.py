"""Studies whose points clip ranges of layers: every row is what editing the weights in place gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, GPTJConfig

from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.reporting.report_facts import write_study_report
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.models.load import load_model
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.tokenizer import load_tokenizer
from tests.conftest import tiny_study
from tests.orchestrator.stored import latest_rows, status_of, take_snapshot
from tests.trials.reference import edit_in_place, score_one_by_one

LAYERS = [2, [1, 2], [0, -1], 0]
SPACE = {"layers": LAYERS, "modules": ["mlp", "attn"], "clip_rates": [0, 0.5, 0.9]}
PLACES = {(2,), (1, 2), (0, 1, 2), (0,)}
SEARCHES: list[dict[str, Any]] = [
    {"driver": "grid"},
    {"driver": "grid", "race": "halving"},
    {"driver": "bayes", "n_trials": 16},
]
MakeContent = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-J of three layers."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = GPTJConfig(
        vocab_size=len(build_tokenizer()), n_positions=256, n_embd=32, n_layer=3, n_head=2, rotary_dim=8,
        initializer_range=0.3,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def content(model: Path, **search: Any) -> dict[str, Any]:
    sizes = {"validation_size": 100 if "race" in search else 20, "test_size": 0}
    return tiny_study(model, space=SPACE, search=search, task=sizes)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: "-".join(map(str, search.values())))
def test_each_range_is_a_point_of_its_own(model: Path, tmp_path: Path, cache: Path, search: dict[str, Any]) -> None:
    run_study(check_study(content(model, **search)), tmp_path / "s", cache, Console(quiet=True))
    rows = latest_rows(tmp_path / "s").values()
    clipped = [row.clips for row in rows if row.clips]
    found = {(tuple(clip.layer for clip in clips), clips[0].module, clips[0].clip_rate) for clips in clipped}
    assert found == {(layers, module, rate) for layers in PLACES for module in ("mlp", "attn") for rate in (0.5, 0.9)}
    assert {row.layer for row in rows if len(row.clips) > 1} == {None}
    status = status_of(tmp_path / "s")
    assert (status["state"], status["done"] + status["pruned"]) == ("done", status["total"])


def test_rows_of_ranges_equal_clipping_in_place(model: Path, tmp_path: Path, cache: Path) -> None:
    study = check_study(content(model, driver="grid"))
    run_study(study, tmp_path / "s", cache, Console(quiet=True))
    opened = take_snapshot(tmp_path / "s").opened
    task, tokenizer = load_task(opened.study.task_settings(), cache), load_tokenizer(model)
    prompts = encode_prompts(task, tokenizer, PromptSet(shots=2, demo_seed=0, split="validation"), 256)
    loaded = load_model(model, "float32", "cpu")
    gold = [query.gold for query in prompts.queries]
    for row in latest_rows(tmp_path / "s").values():
        chosen = score_one_by_one(edit_in_place(loaded, row.clips), prompts).argmax(dim=1).tolist()
        assert row.outcomes.tolist() == [one == right for one, right in zip(chosen, gold, strict=True)]
    paths = {row.engine_path for row in latest_rows(tmp_path / "s").values() if len(row.clips) > 1}
    assert paths == {"sub-layer"}  # one module of the first layer changes, so its other part is reused


def test_a_range_is_named_in_the_answer_and_has_its_line_in_the_report(
    model: Path, tmp_path: Path, cache: Path
) -> None:
    only = content(model, driver="grid")
    only["space"] = {**only["space"], "layers": [0, [1, -1]], "clip_rates": [0.5, 0.9], "modules": ["mlp"]}
    plan = plan_study(check_study(only), tmp_path / "s", cache)
    assert (plan["points"], plan["trials"]) == (5, 5)
    assert plan["matrices_to_factor_at_most"] == 3 * 2
    run_study(check_study(only), tmp_path / "s", cache, Console(quiet=True))
    snapshot = take_snapshot(tmp_path / "s")
    ranged = [point for point in snapshot.standings.points if len(point.clips) > 1]
    assert {point.place for point in ranged} == {"layers 1-2"}
    assert describe_winner(snapshot.standings).startswith("winner")
    assert "layers 1-2" in write_study_report(snapshot, lambda: snapshot.opened.load_task(cache)).read_text(
        encoding="utf-8"
    )
