from clipsweep.cluster.counters import Counters


def test_what_was_done_since_is_the_difference_of_each_number() -> None:
    before = Counters(trials=2, rows=20, load_seconds=3.0)
    after = Counters(trials=5, rows=50, load_seconds=3.0, halvings=1)
    assert after.since(before) == Counters(trials=3, rows=30, halvings=1)
