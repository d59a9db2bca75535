import pytest
import torch

from clipsweep.trials.base.budget import Budget

CPU = torch.device("cpu")


def test_a_budget_is_what_was_asked_for() -> None:
    budget = Budget.measure(CPU, asked=5000)
    assert (budget.device_bytes, budget.host_bytes) == (5000, 0)


def test_of_several_gpus_the_fullest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {torch.device("cuda:0"): 10**9, torch.device("cuda:1"): 4 * 10**8}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device], 10**10))
    assert Budget.measure(*free).device_bytes == int(0.4 * 4 * 10**8)
    assert Budget.measure(*free, asked=10**6).device_bytes == 10**6


def test_a_measured_budget_is_shared_by_replicas() -> None:
    alone, one_of_four = Budget.measure(CPU), Budget.measure(CPU, sharers=4)
    assert 0 < one_of_four.device_bytes < alone.device_bytes / 2


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([4, 4, 4], [[0, 1], [2]]),
        ([11, 1], [[0], [1]]),  # one that is too large runs alone
        ([0, 0, 0], [[0, 1, 2]]),
        ([10], [[0]]),
    ],
)
def test_trials_run_together_as_far_as_they_fit_and_one_always_does(sizes: list[int], groups: list[list[int]]) -> None:
    assert list(Budget(device_bytes=0, host_bytes=0, trials_bytes=10).group(sizes)) == groups
