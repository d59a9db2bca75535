from datetime import timedelta

from clipsweep.orchestrator.progress.replica_lives import LOOK_BACK, ReplicaLives
from tests.analysis.store.rows import NOON, make_result

ONE, TWO = ({"name": f"replica-{number}", "node": "n", "device": "cpu", "pid": "7"} for number in (1, 2))


def test_a_replica_that_goes_is_lost_and_those_that_stay_are_up_since_they_came() -> None:
    lives = ReplicaLives()
    assert lives.see([ONE, TWO], NOON)
    assert not lives.see([ONE, TWO], NOON + timedelta(seconds=1))
    assert lives.see([TWO], NOON + timedelta(seconds=5))
    [up], [lost] = lives.up(NOON + timedelta(seconds=9)), lives.lost()
    assert (up.name, up.up_since, up.down_since) == ("replica-2", NOON, None)
    assert (lost.name, lost.down_since) == ("replica-1", NOON + timedelta(seconds=5))
    assert lives.n_lost == 1


def test_rows_and_rate_are_those_of_each_replica() -> None:
    lives = ReplicaLives()
    lives.see([ONE, TWO], NOON)
    lives.count([make_result(replica="replica-1", outcomes=(True,) * 100)], NOON + timedelta(seconds=5))
    one, two = lives.up(NOON + timedelta(seconds=10))
    assert (one.rows, one.rows_per_second, one.last_result_at) == (100, 10.0, NOON + timedelta(seconds=5))
    assert (two.rows, two.rows_per_second, two.last_result_at) == (0, None, None)


def test_a_rate_is_that_of_the_last_results() -> None:
    lives = ReplicaLives()
    lives.see([ONE], NOON)
    for number in range(LOOK_BACK):
        later = NOON + timedelta(hours=1, seconds=number)
        lives.count([make_result(replica="replica-1", outcomes=(True,) * 10)], later)
    [one] = lives.up(NOON + timedelta(hours=1, seconds=LOOK_BACK - 1))
    assert one.rows_per_second == 10.0
