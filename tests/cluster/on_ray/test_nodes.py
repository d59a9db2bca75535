"""Nodes that come and go, tried with the several raylets of ``ray.cluster_utils.Cluster`` and declared GPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def seen(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``nodes_script.py`` saw."""
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {"HOME": str(home), "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "tests.cluster.on_ray.nodes_script", str(tiny_gptj), str(home / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_replica_sees_the_gpu_that_it_was_given_alone(seen: Any) -> None:
    assert seen["gpus"] == ["0", "1"]


def test_a_node_that_refuses_is_told_of_once_and_the_others_serve(seen: Any) -> None:
    (refusal,) = seen["refusals"]
    assert "cannot load the model (no model here); nothing is placed there again, the others go on" in refusal


def test_a_node_removed_while_it_works_costs_no_trial(seen: Any) -> None:
    assert seen["results"] == [36, 36]
    assert seen["states"] == ["complete"]


def test_a_node_that_drains_finishes_its_calls_and_is_charged_with_no_death(seen: Any) -> None:
    assert seen["drained"] == 4
    assert seen["deaths"] == {}
    (told,) = seen["told"]
    assert "is about to go" in told


def test_a_cluster_whose_head_is_dead_is_left_in_one_sentence(seen: Any) -> None:
    assert seen["lost"].startswith("the Ray cluster is lost: its head has not answered for ")
    assert seen["lost"].endswith("What is finished is stored; run again to resume.")
