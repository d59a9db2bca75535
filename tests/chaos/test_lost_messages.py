"""Answers of replicas lost on their way; ``make chaos`` also loses requests, and delays them."""

import pytest

from tests.chaos.lost_messages import environments, run_contract


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_every_trial_comes_back_once_though_answers_are_lost() -> None:
    verdict = run_contract(environments()["response lost"], ["test_every_trial_comes_back_once"])
    assert verdict.words == ""
