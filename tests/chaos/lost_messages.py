"""Messages between driver and replicas lost or late, by Ray's own faults, under what every pool promises.

``RAY_testing_rpc_failure`` makes calls fail before they are sent, on their way, or when the answer comes back;
``RAY_testing_asio_delay_us`` makes every handler of a name wait. Both are read when Ray is loaded, so each kind of
fault is a pytest process of its own. The tests are those of ``tests/cluster/pool_contract.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.document import Line
from tests.chaos.tools import runner
from tests.chaos.tools.judge import Verdict

PUSH, PUSHED = "CoreWorkerService.grpc_client.PushTask", "CoreWorkerService.grpc_server.PushTask"
CONTRACT = "tests/cluster/on_ray/test_ray_pool.py::TestRayPool"
PROMISES = (  # what holds whoever dies; other tests of the contract count warnings, or calls, of replicas that live
    "test_every_trial_comes_back_once",
    "test_results_equal_those_of_a_replica_alone",
    "test_a_trial_that_raises_is_a_result_and_the_next_one_runs",
    "test_singular_values_are_those_of_a_replica_alone",
    "test_a_spectrum_that_is_not_read_to_its_end_leaves_the_pool_usable",
    "test_announcing_where_trials_start_changes_no_result",
    "test_a_result_says_where_it_ran",
)
LOST = 3  # messages of one process, so that what is lost for good is a fault of ours
FAULTS = {
    "request": {"req_failure_prob": 30, "resp_failure_prob": 0, "in_flight_failure_prob": 0},
    "response": {"req_failure_prob": 0, "resp_failure_prob": 30, "in_flight_failure_prob": 0},
    "in flight": {"req_failure_prob": 0, "resp_failure_prob": 0, "in_flight_failure_prob": 30},
}
DELAY = {"RAY_testing_asio_delay_us": f"{PUSH}=1000:200000,{PUSHED}=1000:200000"}
FAILED = re.compile(r"^(?:FAILED|ERROR) \S*::(\w+)", re.MULTILINE)
AT_MOST_S = 900


def environments() -> dict[str, dict[str, str]]:
    """Each kind of fault, with the variables that make it."""
    lost = {
        f"{name} lost": {"RAY_testing_rpc_failure": json.dumps({PUSH: {"num_failures": LOST, **chances}})}
        for name, chances in FAULTS.items()
    }
    return {**lost, "late": DELAY}


def run_contract(environment: Mapping[str, str], promises: Sequence[str] = PROMISES) -> Verdict:
    """Run the pool's contract with some variables set; what failed."""
    command = [sys.executable, "-m", "pytest", "-m", "ray", "-q", "-p", "no:cacheprovider"]
    command += [f"{CONTRACT}::{promise}" for promise in promises]
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(
            command, cwd=root, env={**os.environ, **environment}, capture_output=True, text=True, timeout=AT_MOST_S
        )
    except subprocess.TimeoutExpired:
        return Verdict(ended_wrong=(f"still ran after {AT_MOST_S} s",))
    if done.returncode == 0:
        return Verdict()
    return Verdict(lost=tuple(FAILED.findall(done.stdout)) or (done.stdout[-500:],))


def measure(wanted: runner.Wanted, log: runner.Log) -> Sequence[Line]:
    """Each kind of fault so many times; the seed does nothing, as Ray draws for itself."""
    kinds = environments()
    for _ in range(wanted.times or 5):
        for name, environment in kinds.items():
            log.note(f"pool contract, {name}", run_contract(environment))
    return log.lines("lost messages")


if __name__ == "__main__":
    runner.main(measure, default_times=1)
