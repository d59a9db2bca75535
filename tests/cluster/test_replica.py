import random
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import combinations, pairwise
from operator import add
from pathlib import Path
from typing import Any

import pytest
import torch

from clipsweep.cluster.replica import Replica, pick_devices
from clipsweep.cluster.work import Batch
from clipsweep.trials.base.errors import ModelError, PoolError, SpecError
from clipsweep.trials.models.load import load_model
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.tasks.definition import Source, TaskDefinition, Wording
from clipsweep.trials.tasks.episodes import TOPICS
from clipsweep.trials.tasks.settings import TaskSettings
from tests.cluster.pool_contract import RATES, make_trial, replica_settings
from tests.conftest import save_tiny_model, write_rows
from tests.trials.checkpoint.folders import copy_of
from tests.trials.devices import several_devices


def see_gpus(monkeypatch: pytest.MonkeyPatch, count: int, visible: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


def test_a_replica_of_several_gpus_takes_those_that_ray_left_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 2, "4,5")  # torch numbers the visible ones from 0
    assert pick_devices(2) == ["cuda:0", "cuda:1"]
    assert pick_devices(1) == ["cuda"]


def test_a_replica_without_a_gpu_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 0, "")
    assert pick_devices(1) == ["cpu"]


@pytest.mark.parametrize("asked", [0.5, 4])
def test_gpus_are_not_ignored_where_there_are_none(asked: float, monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 0, "")
    with pytest.raises(SpecError, match=f"gpus_per_replica is {asked:g}, but .* has no GPU; .* Remove the key"):
        pick_devices(asked)


def test_a_share_of_a_gpu_is_run_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 1, "0")
    assert pick_devices(0.5) == ["cuda"]


def test_a_replica_that_sees_fewer_gpus_than_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    see_gpus(monkeypatch, 1, "0")
    with pytest.raises(PoolError, match="gpus_per_replica is 2, and .* 1 GPUs; expected as many"):
        pick_devices(2)


def test_a_replica_on_two_devices_gives_what_one_on_one_device_gives_and_names_both(
    tiny_gptj: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, card = replica_settings(tiny_gptj, cache)
    batch = Batch(trials=tuple(make_trial(card, rate) for rate in RATES), microbatch=4)
    alone = Replica(settings, "alone").evaluate(batch)
    monkeypatch.setattr("clipsweep.cluster.replica.pick_devices", lambda _: ["cpu:0", "cpu:1"])
    with several_devices():
        together = Replica(settings, "together").evaluate(batch)
    assert [(each.outcomes, each.scores) for each in together] == [(each.outcomes, each.scores) for each in alone]
    assert {each.device for each in together} == {"cpu:0,cpu:1"}


def test_weights_that_are_replaced_while_they_are_loaded_are_refused(
    tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = replica_settings(copy_of(tiny_gptj, tmp_path / "m"), cache)

    def load_late(folder: Path, *arguments: str) -> Any:
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
        return load_model(folder, *arguments)

    monkeypatch.setattr("clipsweep.cluster.replica.load_model", load_late)
    with pytest.raises(ModelError, match="was changed while it was loaded; run again once it is complete"):
        Replica(settings, "late")


def compositions(rungs: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Every way to go along a ladder: the parts of each, from the first row to the last."""
    inner = [chosen for count in range(len(rungs)) for chosen in combinations(rungs[:-1], count)]
    return [list(pairwise((0, *chosen, rungs[-1]))) for chosen in inner]


@pytest.fixture
def uneven_task(tmp_path: Path) -> TaskSettings:
    """A task whose 70 validation rows have from 1 to 40 words."""
    draw, words = random.Random(0), sorted({word for topic in TOPICS.values() for word in topic})
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 40))) for _ in range(100)]
    write_rows(tmp_path / "uneven" / "train.jsonl", [{"text": text, "label": n % 2} for n, text in enumerate(texts)])
    definition = TaskDefinition(
        source=Source(path=str(tmp_path / "uneven")),
        wording=Wording(query=" {text}", answers=(" RED", " BLUE")),
        classes={"0": 0, "1": 1},
    )
    return TaskSettings(name="uneven", definition=definition, validation_size=70, test_size=0, seed=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_parts_of_a_race_give_what_a_whole_evaluation_gives_bit_by_bit(
    tmp_path: Path, cache: Path, uneven_task: TaskSettings, dtype: str
) -> None:
    settings, card = replica_settings(save_tiny_model(tmp_path / "llama", "llama"), cache, dtype, uneven_task)
    replica, whole = Replica(settings, "r"), make_trial(card, 0.6)
    ways = compositions(make_rungs(70))
    parts = {rows: replace(whole, rows=rows) for way in ways for rows in way}
    results = replica.evaluate(Batch(trials=(whole, *parts.values()), microbatch=12))  # which divides no rung
    expected, found = results[0], {each.trial.rows: each for each in results[1:]}
    assert expected.tally is not None
    for way in ways:
        met = [found[rows] for rows in way]
        tallies = [each.tally for each in met if each.tally is not None]
        assert sum((each.outcomes for each in met), ()) == expected.outcomes
        assert sum((each.margins for each in met), ()) == expected.margins
        assert reduce(add, tallies) == expected.tally


def test_a_part_that_memory_allows_only_fewer_queries_at_once_is_evaluated_with_those_before_it(
    tmp_path: Path, cache: Path, uneven_task: TaskSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, card = replica_settings(save_tiny_model(tmp_path / "llama", "llama"), cache, task=uneven_task)
    replica, whole = Replica(settings, "r"), make_trial(card, 0.6)
    block = replica._model.model.layers[1]
    forward = block.forward

    def small_only(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(hidden) > 4:
            raise torch.OutOfMemoryError("too large")
        return forward(hidden, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(block, "forward", small_only)
        (found,) = replica.evaluate(Batch(trials=(replace(whole, rows=(32, 64)),), microbatch=12))
    (expected,) = replica.evaluate(Batch(trials=(replace(whole, rows=(0, 64)),), microbatch=3))
    assert (found.trial.rows, found.microbatch) == ((0, 64), 3)
    assert (found.outcomes, found.margins, found.tally) == (expected.outcomes, expected.margins, expected.tally)


def test_a_replica_counts_what_it_does_and_where_its_factors_came_from(tiny_gptj: Path, cache: Path) -> None:
    settings, card = replica_settings(tiny_gptj, cache)
    batch = Batch(trials=tuple(make_trial(card, rate) for rate in RATES), microbatch=4)
    first, second = Replica(settings, "first"), Replica(settings, "second")
    results = first.evaluate(batch)
    second.evaluate(batch)
    counted, again = first.counters(), second.counters()
    assert (counted.trials, counted.failed, counted.halvings) == (len(RATES), 0, 0)
    assert counted.rows == sum(len(result.outcomes) for result in results)
    phases = [value for name, value in counted.values() if name.endswith("_seconds")]
    assert min(phases) > 0
    assert counted.factors_computed == again.factors_found > 0
    assert again.factors_computed == again.svd_seconds == 0
