import pytest
import torch
from torch import Tensor

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.engine.activation_store import ActivationStore
from tests.trials.devices import several_devices


def store(device_bytes: int, host_bytes: int = 0) -> ActivationStore:
    return ActivationStore(Budget(device_bytes=device_bytes, host_bytes=host_bytes))


def kilobyte(value: float = 0.0) -> Tensor:
    return torch.full((256,), float(value))


def test_what_fits_is_kept_and_what_does_not_is_not() -> None:
    held = store(2048)
    for number in range(3):
        held.put("a", number, kilobyte(number))
    assert [held.holds("a", number) for number in range(3)] == [True, True, False]
    assert held.get("a", 2) is None
    assert held.device_bytes == 2048


def test_a_group_in_use_pushes_out_the_one_used_longest_ago() -> None:
    held = store(2048)
    held.put("old", 0, kilobyte())
    held.put("newer", 0, kilobyte())
    held.use(["wanted"])
    held.put("wanted", 0, kilobyte(7))
    assert not held.holds("old", 0)
    assert held.holds("newer", 0)
    assert torch.equal(held.get("wanted", 0), kilobyte(7))


def test_groups_in_use_do_not_push_out_each_other() -> None:
    held = store(1024)
    held.use(["a", "b"])
    held.put("a", 0, kilobyte())
    held.put("b", 0, kilobyte())
    assert held.holds("a", 0)
    assert not held.holds("b", 0)


def test_a_group_that_is_not_in_use_pushes_out_nothing() -> None:
    held = store(1024)
    held.put("a", 0, kilobyte())
    held.put("b", 0, kilobyte())
    assert held.holds("a", 0)
    assert not held.holds("b", 0)


def test_what_is_needed_sooner_pushes_out_what_is_needed_later_and_that_nothing() -> None:
    held = store(2048)
    held.use(["now"], later=["soon", "late"])
    for group in ("late", "stray", "soon", "now"):
        held.put(group, 0, kilobyte())
    assert [held.holds(group, 0) for group in ("now", "soon", "late", "stray")] == [True, True, False, False]
    held.put("late", 0, kilobyte())
    assert not held.holds("late", 0)


def test_only_as_much_is_pushed_out_as_is_needed_and_from_one_memory() -> None:
    held = store(1024, host_bytes=1024)
    held.put("on device", 0, kilobyte())
    held.put("on host", 0, kilobyte())
    held.use(["wanted"])
    held.put("wanted", 0, kilobyte())
    assert [held.holds(group, 0) for group in ("on device", "on host", "wanted")] == [False, True, True]


def test_host_memory_takes_what_the_device_has_no_room_for() -> None:
    held = store(1024, host_bytes=1024)
    for number in range(3):
        held.put("a", number, kilobyte(number))
    assert (held.device_bytes, held.host_bytes) == (1024, 1024)
    assert torch.equal(held.get("a", 1), kilobyte(1))
    assert held.get("a", 2) is None


def test_what_comes_back_from_host_memory_is_on_the_device_that_it_was_put_from() -> None:
    with several_devices() as devices:
        held = store(0, host_bytes=10**6)
        first, second = (torch.ones(4, device=f"cpu:{number}") for number in (0, 1))
        held.put("a", 0, {"first": first, "second": [second, second]})
        back = held.get("a", 0)
        kept = held._groups["a"][0].value
        assert [str(devices.of(each)) for each in (kept["first"], kept["second"][0])] == ["cpu", "cpu"]
        assert [str(each.device) for each in (back["first"], *back["second"])] == ["cpu:0", "cpu:1", "cpu:1"]
    assert back["second"][0] is back["second"][1]


@pytest.mark.parametrize(
    ("limit", "values", "crowded"), [(4096, 0, False), (4096, 3, False), (4096, 4, True), (0, 4, False)]
)
def test_a_device_with_little_room_left_is_crowded(limit: int, values: int, crowded: bool) -> None:
    held = store(limit)
    for number in range(values):
        held.put("a", number, kilobyte())
    assert held.crowded is crowded


def test_shrinking_gives_up_half_of_what_is_held_and_holds_no_more_until_restored() -> None:
    held = store(8192)
    for number in range(4):
        held.put("a", number, kilobyte())
    assert held.shrink()
    held.put("b", 0, kilobyte())
    assert held.device_bytes == 2048
    held.restore()
    held.put("b", 0, kilobyte())
    assert held.device_bytes == 3072


def test_shrinking_gives_up_what_is_wanted_least_and_of_a_group_its_last_microbatches() -> None:
    held = store(8192)
    held.use(["now"], later=["soon", "late"])
    for group in ("late", "stray", "soon", "now"):
        for number in (0, 1):
            held.put(group, number, kilobyte())
    assert held.shrink()
    kept = [(group, number) for group in ("now", "soon", "late", "stray") for number in (0, 1)]
    assert [each for each in kept if held.holds(*each)] == [("now", 0), ("now", 1), ("soon", 0), ("soon", 1)]
    assert held.shrink()
    assert held.shrink()
    assert [each for each in kept if held.holds(*each)] == [("now", 0)]


def test_shrinking_ends_when_nothing_is_held() -> None:
    held = store(8192)
    held.put("a", 0, kilobyte())
    assert [held.shrink(), held.shrink()] == [True, False]
    assert held.device_bytes == 0


def test_shrinking_leaves_host_memory_alone() -> None:
    held = store(1024, host_bytes=1024)
    for number in (0, 1):
        held.put("a", number, kilobyte())
    held.shrink()
    assert (held.device_bytes, held.host_bytes) == (0, 1024)


def test_nothing_is_pushed_out_for_what_does_not_fit_all_the_same() -> None:
    held = store(2048)
    held.put("old", 0, kilobyte())
    held.use(["wanted"])
    held.put("wanted", 0, torch.zeros(1024))
    assert held.holds("old", 0)
    assert not held.holds("wanted", 0)


def test_dropping_gives_the_room_back() -> None:
    held = store(2048)
    held.put(("x", 1), 0, kilobyte())
    held.put(("y", 1), 0, kilobyte())
    held.drop(lambda group: isinstance(group, tuple) and group[0] == "x")
    assert held.device_bytes == 1024
    assert not held.holds(("x", 1), 0)
