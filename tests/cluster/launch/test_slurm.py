"""The file for Slurm, submitted to a Slurm of the tests: one node, two tasks, a time limit that comes too early."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.launch.trial import LAUNCH, most_attempts, processes_with, rows_of, run_cleanly, write_study

NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
LONGEST_S, LOOK_UP_S = 1500, 2.0
AMPLE_MIN, FEW_ROWS = 60, 5
ALLOCATION = ["--nodes=1", "--ntasks-per-node=2", "--cpus-per-task=1", f"--time={AMPLE_MIN}", "--signal=B:USR1@60"]
CONFIG = """
ClusterName=tried
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
pytestmark = [
    pytest.mark.launch,
    pytest.mark.timeout(3 * LONGEST_S),
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}; Debian's package slurm-wlm has them"),
    pytest.mark.skipif(os.geteuid() != 0, reason="slurmd wants to be root"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which the commands of Slurm find a cluster of one node."""
    folder = tmp_path_factory.mktemp("slurm")
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=socket.gethostname(), folder=folder, ports=(free_port(), free_port())))
    hidden = ("SLURM_", "RAY_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment |= {"SLURM_CONF": str(config), "OMP_NUM_THREADS": "1", "PATH": path}
    with (folder / "daemons.log").open("w") as log:
        daemons = [
            subprocess.Popen([name, "-D", "-f", str(config)], env=environment, stdout=log, stderr=log)
            for name in ("slurmctld", "slurmd")
        ]
        yield environment
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(60)


@pytest.fixture(scope="module")
def submitted(slurm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that has come to its end: study.yaml, the study in 'done', what it said in 'log'.

    Its time limit is cut short once it has stored some rows, however slow the machine is, and is ample afterwards.
    """
    folder = tmp_path_factory.mktemp("submitted")
    write_study(folder, validation_size=800)
    command = ["sbatch", "--parsable", "--output=log", *ALLOCATION, str(LAUNCH / "slurm" / "clipsweep.sbatch")]
    asked = [*command, "study.yaml", str(folder / "done")]
    job = subprocess.run(asked, cwd=folder, env=slurm, check=True, capture_output=True, text=True).stdout.strip()
    wait_until(lambda: len(rows_of(folder / "done")) >= FEW_ROWS, folder)
    limit(job, elapsed_min(job, slurm) + 1, slurm)
    wait_until(lambda: "requeued" in (folder / "log").read_text(), folder)
    limit(job, AMPLE_MIN, slurm)
    wait_until(lambda: job not in ask(["squeue", "--noheader", "--format=%i"], slurm).split(), folder)
    return folder


def ask(command: list[str], slurm: dict[str, str]) -> str:
    return subprocess.run(command, env=slurm, check=True, capture_output=True, text=True).stdout


def elapsed_min(job: str, slurm: dict[str, str]) -> int:
    """How many minutes a job has run, rounded up."""
    *hours, minutes, _ = map(int, ask(["squeue", "--noheader", "--format=%M", "--jobs", job], slurm).split(":"))
    return sum(hours) * 60 + minutes + 1


def limit(job: str, minutes: int, slurm: dict[str, str]) -> None:
    """Change a job's time limit; the clock that ends it is Slurm's."""
    ask(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"], slurm)


def wait_until(there: Callable[[], bool], folder: Path) -> None:
    began = time.monotonic()
    while not there():
        log = folder / "log"
        assert time.monotonic() < began + LONGEST_S, log.read_text() if log.is_file() else "the job did not begin"
        time.sleep(LOOK_UP_S)


def test_a_job_stops_by_the_clock_requeues_itself_and_resumes_to_the_end(submitted: Path) -> None:
    log = (submitted / "log").read_text()
    said = re.findall(r"the time is nearly up|everything finished is stored|requeued; the study resumes|winner ", log)
    assert "requeued; the study resumes" in said
    assert said[-1] == "winner ", log
    assert "Traceback" not in log


def test_two_tasks_are_two_nodes_of_ray(submitted: Path) -> None:
    assert "2 of 2 nodes have joined" in (submitted / "log").read_text()


def test_rows_of_a_requeued_job_equal_those_of_a_run_that_nobody_stopped(submitted: Path) -> None:
    run_cleanly(submitted / "study.yaml", submitted / "clean")
    assert rows_of(submitted / "done") == rows_of(submitted / "clean")
    assert most_attempts(submitted / "done") == 1


def test_a_job_leaves_neither_its_token_nor_processes_behind(submitted: Path) -> None:
    assert [path.name for path in submitted.iterdir() if path.name.startswith(".")] == []
    assert processes_with("SLURM_SUBMIT_DIR", str(submitted)) == []
