"""Studies of text: what is stored, resumed, raced, read by kinds of clip, and the same on any number of replicas."""

from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from rich.console import Console
from transformers import AutoModelForCausalLM

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.local_pool import LocalPool
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.run.start_pool import start_pool
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import Trial, TrialSpec
from tests.conftest import tiny_study
from tests.harness_model import harness_model
from tests.orchestrator.run.test_exact_rows import cut_off
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import latest_rows
from tests.trials.texts.helpers import draw_documents, write_texts

TEXTS = draw_documents(40)
LENGTH = 32
COLUMNS = ("nll", "perplexity", "loglikelihoods", "tokens", "accuracy", "outcomes")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(write_texts(tmp_path / "texts.jsonl", TEXTS))


def study_of(model: Path, path: str, /, **sections: dict[str, Any]) -> dict[str, Any]:
    """A small study of text; keyword arguments replace keys of its sections."""
    task = {"text": {"path": path, "length": LENGTH}, "seed": 0} | sections.pop("task", {})
    space = {"layers": [0, 1], "modules": ["mlp"], "clip_rates": [0, 0.5, 0.9]} | sections.pop("space", {})
    return tiny_study(model, **sections) | {"task": task, "space": space}


def run(content: dict[str, Any], folder: Path, cache: Path) -> list[StoredRow]:
    run_study(check_study(content), folder, cache, Console(quiet=True))
    return list(latest_rows(folder).values())


def test_the_baseline_costs_what_the_harness_says(tiny_model: Path, path: str, tmp_path: Path, cache: Path) -> None:
    rows = run(study_of(tiny_model, path, task={"test_size": 0}), tmp_path / "s", cache)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    harness = harness_model(model, build_tokenizer(), max_length=LENGTH, batch_size=1)
    requests = [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(TEXTS)]
    (baseline,) = [row for row in rows if not row.clips]
    tokens = sum(len(build_tokenizer()(text)["input_ids"]) for text in TEXTS)
    expected = -sum(harness.loglikelihood_rolling(requests, disable_tqdm=True)) / tokens
    assert baseline.nll == pytest.approx(expected, abs=1e-5)
    assert baseline.tokens is not None
    assert baseline.tokens.sum() == tokens


def test_a_row_has_a_likelihood_of_each_window_and_no_accuracy(
    tiny_gptj: Path, path: str, tmp_path: Path, cache: Path
) -> None:
    rows = run(study_of(tiny_gptj, path, task={"validation_size": 20, "test_size": 10}), tmp_path / "s", cache)
    assert {(row.split, row.n_examples, row.shots, row.accuracy) for row in rows} == {
        ("validation", 20, 0, None),
        ("test", 10, 0, None),
    }
    assert all(row.loglikelihoods is not None and len(row.loglikelihoods) == row.n_examples for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 3])
def test_a_study_that_was_cut_off_has_the_rows_of_one_that_was_not(
    calls: int, tiny_gptj: Path, path: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = study_of(tiny_gptj, path, task={"validation_size": 20, "test_size": 10})
    run(content, tmp_path / "whole", cache)
    with monkeypatch.context() as patch:
        cut_off(patch, calls)
        run(content, tmp_path / "cut", cache)
    run(content, tmp_path / "cut", cache)
    assert stable(latest_rows(tmp_path / "cut")) == stable(latest_rows(tmp_path / "whole"))


@pytest.mark.slow
def test_rows_of_a_race_equal_their_re_evaluation(tiny_gptj: Path, path: str, tmp_path: Path, cache: Path) -> None:
    space = {"modules": ["mlp", "attn"], "clip_rates": [0, 0.3, 0.6, 0.9]}
    parts: dict[str, dict[str, Any]] = {"search": {"race": "halving"}, "cluster": {"microbatch": 7}}
    content = study_of(tiny_gptj, path, task={"test_size": 0}, space=space, **parts)
    rows = run(content, tmp_path / "s", cache)
    assert {row.state for row in rows} == {TrialState.COMPLETE, TrialState.PRUNED}
    prepared = prepare(reopen(tmp_path / "s").study, tmp_path / "s", cache)
    pool, card = start_pool(prepared), prepared.opened.subject.card
    assert isinstance(pool, LocalPool)
    for row in rows[::-1]:
        spec = TrialSpec(model=row.model, task=row.task, shots=0, demo_seed=0, split=row.split, clips=row.clips)
        trial = Trial(trial_id=row.trial_id, spec=spec, resolved=resolve(row.clips, card), rows=(0, row.n_examples))
        (again,) = pool._replica.evaluate(Batch(trials=(trial,), microbatch=row.microbatch))
        assert row.loglikelihoods is not None
        assert row.tokens is not None
        assert again.loglikelihoods == tuple(row.loglikelihoods.tolist())
        assert again.tokens == tuple(row.tokens.tolist())
        assert again.scores is not None
        assert again.scores.nll == row.nll


@pytest.mark.slow
def test_a_kind_of_clip_may_read_windows_of_validation(tiny_gptj: Path, path: str, tmp_path: Path, cache: Path) -> None:
    space = {"layers": [1], "clip_rates": [0, 0.5], "kinds": [{"whitened": {"split": "validation", "rows": 3}}]}
    rows = run(study_of(tiny_gptj, path, task={"test_size": 0}, space=space), tmp_path / "s", cache)
    assert [row.state for row in rows] == [TrialState.COMPLETE] * 2


@pytest.mark.ray
def test_the_rows_do_not_depend_on_the_number_of_replicas(
    ray_cluster: None, tiny_gptj: Path, path: str, tmp_path: Path, cache: Path
) -> None:
    found = []
    for replicas in (0, 2):
        content = study_of(tiny_gptj, path, task={"validation_size": 20, "test_size": 10})
        run(content | {"cluster": {"replicas": replicas}}, tmp_path / str(replicas), cache)
        found.append(stable(latest_rows(tmp_path / str(replicas))))
    assert found[0] == found[1]
