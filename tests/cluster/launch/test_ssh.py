"""The script for a list of hosts, with an sshd of the tests: this machine, and two hosts on its loopback addresses."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.launch.trial import LAUNCH, most_attempts, processes_with, rows_of, run_cleanly, write_study

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
LONGEST_S, LOOK_UP_S, FEW_ROWS = 1200, 1.0, 5
HOSTS = ("127.0.0.1", "127.0.0.2")
MARK = "CLIPSWEEP_TRIED_BY"  # a variable that tells our processes from all others
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
ListenAddress 127.0.0.2
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
PasswordAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
SetEnv PYTHONPATH={path} {mark}={folder}
"""
pytestmark = [
    pytest.mark.launch,
    pytest.mark.timeout(3 * LONGEST_S),
    pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="no sshd; openssh-server has it"),
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of Linux alone"),
]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with 'hosts.txt', which names two hosts; they are there as long as the tests."""
    from tests.cluster.launch.test_slurm import free_port

    folder, port = tmp_path_factory.mktemp("hosts"), free_port()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    path = os.environ.get("PYTHONPATH") or Path(__file__).parents[3]
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder, path=path, mark=MARK))
    options = f"-p {port} -i {folder}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known"
    (folder / "hosts.txt").write_text("# two hosts\n\n" + "".join(f"{options} {host}\n" for host in HOSTS))
    Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in before it knows who comes
    sshd = subprocess.Popen([str(SSHD), "-D", "-f", str(folder / "config"), "-E", str(folder / "sshd.log")])
    yield folder
    sshd.terminate()
    sshd.wait(60)


Launch = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def launch(hosts: Path, tmp_path: Path) -> Iterator[Launch]:
    """Start the script on a study; what it says is in 'log', what is stored in 'done'."""
    started: list[subprocess.Popen[bytes]] = []
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables |= {MARK: str(hosts), "OMP_NUM_THREADS": "1", "PATH": path}
    command = [
        str(LAUNCH / "ssh" / "clipsweep-ssh"),
        str(hosts / "hosts.txt"),
        str(write_study(tmp_path, validation_size=100)),
    ]

    def start() -> "subprocess.Popen[bytes]":
        with (tmp_path / "log").open("ab") as log:
            arguments = [*command, str(tmp_path / "done"), "--replicas", "3"]
            group = subprocess.Popen(arguments, env=variables, stdout=log, stderr=log, start_new_session=True)
        started.append(group)
        return group

    yield start
    for group in started:
        if group.poll() is None:
            os.killpg(group.pid, signal.SIGKILL)


def wait_until(there: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not there():
        assert time.monotonic() < began + LONGEST_S
        time.sleep(LOOK_UP_S)


def test_ctrl_c_stops_a_run_on_three_nodes_and_the_same_command_ends_it(
    launch: Launch, hosts: Path, tmp_path: Path
) -> None:
    group = launch()
    wait_until(lambda: len(rows_of(tmp_path / "done")) >= FEW_ROWS or group.poll() is not None)
    os.killpg(group.pid, signal.SIGINT)  # as the terminal does: to the script, the driver, Ray and ssh
    assert group.wait(LONGEST_S) == 130, (tmp_path / "log").read_text()
    assert processes_with(MARK, str(hosts)) == []
    assert launch().wait(LONGEST_S) == 0, (tmp_path / "log").read_text()
    log = (tmp_path / "log").read_text()
    assert log.count("3 of 3 nodes have joined") == 2
    assert "Traceback" not in log
    run_cleanly(tmp_path / "study.yaml", tmp_path / "clean")
    assert rows_of(tmp_path / "done") == rows_of(tmp_path / "clean")
    assert most_attempts(tmp_path / "done") == 1


def test_hosts_end_their_ray_when_the_script_is_killed(launch: Launch, hosts: Path, tmp_path: Path) -> None:
    group = launch()
    wait_until(lambda: len(rows_of(tmp_path / "done")) >= 1 or group.poll() is not None)
    os.killpg(group.pid, signal.SIGKILL)
    group.wait()
    wait_until(lambda: processes_with(MARK, str(hosts)) == [])
