import logging
from collections import Counter

import pytest

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.on_ray.placement import LONGEST_PAUSE_S, STEADY_S, Node, Placement, words_of_refusal
from clipsweep.trials.base.errors import ModelError, NoMemoryError

MANY = ClusterSettings(replicas=None, gpus_per_replica=1, cpus_per_replica=1, address=None, bytes_per_replica=2**20)
THREE = ClusterSettings(replicas=3, gpus_per_replica=1, cpus_per_replica=1, address=None, bytes_per_replica=2**20)
REFUSAL = ModelError("the folder is another checkpoint.")


def node(number: str, gpus: float = 2, *, draining: bool = False) -> Node:
    return Node(number=number, name=f"host-{number}", resources={"CPU": 8.0, "GPU": gpus}, draining=draining)


def missing(
    placement: Placement, nodes: list[Node], there: dict[str, int] | None = None, now: float = 0
) -> Counter[str]:
    return Counter(each.number for each in placement.missing(nodes, there or {}, now))


def test_a_node_that_joins_gets_as_many_replicas_as_it_has_room_for() -> None:
    assert missing(Placement(MANY, 1), [node("a"), node("b", 3)], {"a": 2}) == {"b": 3}


def test_a_number_of_replicas_is_kept_up_and_never_exceeded() -> None:
    nodes = [node("a"), node("b"), node("c")]
    assert missing(Placement(THREE, 1), nodes, {"a": 1, "b": 1}).total() == 1
    assert missing(Placement(THREE, 1), nodes, {"a": 1, "b": 1, "c": 1}).total() == 0


def test_a_number_of_replicas_is_spread_over_the_nodes() -> None:
    assert missing(Placement(THREE, 1), [node("a"), node("b"), node("c")]) == {"a": 1, "b": 1, "c": 1}


def test_a_node_that_is_about_to_go_gets_none() -> None:
    assert missing(Placement(MANY, 1), [node("a", draining=True), node("b", 1)]) == {"b": 1}


def test_a_node_that_refuses_is_left_alone_and_told_of_once() -> None:
    placement, nodes = Placement(MANY, 1), [node("a"), node("b", 1)]
    assert [placement.refused(nodes[0], REFUSAL, 0), placement.refused(nodes[0], REFUSAL, 0)] == [True, False]
    assert missing(placement, nodes, now=10**6) == {"b": 1}
    assert "node host-a cannot load the model (the folder is another checkpoint)" in words_of_refusal(nodes[0], REFUSAL)


def test_a_node_short_of_memory_is_tried_again_later() -> None:
    placement, nodes = Placement(MANY, 1), [node("a", 1)]
    placement.refused(nodes[0], NoMemoryError("out of memory"), 100)
    assert missing(placement, nodes, now=101).total() == 0
    assert missing(placement, nodes, now=200).total() == 1


def test_replicas_of_a_node_where_they_die_start_later_and_later() -> None:
    placement, one = Placement(MANY, 1), node("a", 1)
    pauses = []
    for _ in range(9):
        placement.died(one, 0, 1.0)
        pauses.append(next(second for second in range(100) if missing(placement, [one], now=second)))
    assert pauses == [0, 1, 3, 7, 15, 31, 60, 60, 60]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_replica_that_ran_well_for_a_while_is_replaced_at_once() -> None:
    placement, one = Placement(MANY, 1), node("a", 1)
    for lived_s in (1.0, 1.0, 1.0, STEADY_S):
        placement.died(one, 0, lived_s)
    assert missing(placement, [one], now=0).total() == 1


def test_a_cluster_is_hopeless_only_where_every_node_with_room_has_refused_or_failed() -> None:
    placement, nodes = Placement(MANY, 1), [node("head", 0), node("a"), node("b")]
    placement.refused(nodes[1], REFUSAL, 0)
    assert not placement.hopeless(nodes, at_first=True)
    for _ in range(3):
        placement.failed_to_load(nodes[2], 0)
    assert placement.hopeless(nodes, at_first=True)


def test_a_cluster_without_room_for_now_is_waited_for() -> None:
    assert not Placement(MANY, 1).hopeless([node("head", 0)], at_first=False)


def test_a_node_with_gpus_is_not_mixed_into_a_run_on_cpu_cores(caplog: pytest.LogCaptureFixture) -> None:
    placement, nodes = Placement(THREE, 0), [node("a"), node("b", 0)]
    with caplog.at_level(logging.WARNING):
        assert [missing(placement, nodes), missing(placement, nodes)] == [{"b": 3}, {"b": 3}]
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["node host-a has GPUs"]
