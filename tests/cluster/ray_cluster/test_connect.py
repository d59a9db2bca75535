"""A Ray that clipsweep starts, as other programs of this machine see it while a study runs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import psutil
import pytest
import ray
import yaml
from ray.exceptions import RaySystemError

from clipsweep.analysis.store.table import ResultsTable
from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.ray_cluster import session
from clipsweep.cluster.ray_cluster.connect import check_loopback, connect
from clipsweep.cluster.ray_cluster.reach import check_address
from clipsweep.cluster.ray_cluster.session import RaySession
from clipsweep.trials.base.errors import NoClusterError, NotStartedError, PoolError
from tests.conftest import tiny_study

HEAD, RAYLET, AGENT, REPLICA = "gcs_server", "raylet", "ray::RuntimeEnvAgent", "ray::ReplicaActor"
LOOK_UP_S = 0.3


@dataclass
class Visit:
    """What an outsider saw: who listened where, and how the head answered to which token."""

    folder: Path
    code: int
    listeners: dict[str, set[str]] = field(default_factory=dict)
    answers: dict[str | None, str] = field(default_factory=dict)

    def look_at(self, process: psutil.Process) -> None:
        """Note where a process listens, and knock at the head the first time that it does."""
        name = Path((process.cmdline() or [""])[0]).name.partition(".")[0]
        for line in process.net_connections("inet"):
            if line.status == psutil.CONN_LISTEN:
                self.listeners.setdefault(name, set()).add(line.laddr.ip)
                if name == HEAD and not self.answers:
                    self.answers = {token: knock(line.laddr.port, token) for token in (None, "guessed")}


def knock(port: int, token: str | None) -> str:
    """What a head says to who shows this token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled" if token is None else "token")
        patch.setenv("RAY_AUTH_TOKEN", token or "")
        try:
            check_address(f"127.0.0.1:{port}", "cluster.address")
        except NoClusterError as error:
            return str(error)
    return "come in"


@pytest.fixture(scope="module")
def visit(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A study run in a process of its own by a user who has no home, looked at from outside until it ends."""
    folder = tmp_path_factory.mktemp("visited")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_study(tiny_gptj)))
    command = [sys.executable, "-m", "clipsweep", "run", "tiny.yaml", "--dir", "done", "--replicas", "1"]
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as short:  # Ray's sockets need a short path
        variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        variables |= {"HOME": f"{short}/none", "RAY_TMPDIR": short, "CLIPSWEEP_CACHE": str(folder / "cache")}
        with (folder / "log").open("w") as log:
            run = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)
            seen = Visit(folder=folder, code=-1)
            while run.poll() is None:
                with suppress(psutil.Error, OSError):  # a process may end while one looks at it
                    for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
                        seen.look_at(process)
                with suppress(subprocess.TimeoutExpired):
                    run.wait(LOOK_UP_S)
        seen.code = run.returncode
        yield seen
        assert not (Path(short) / "none").exists(), "a token was written into the home"


def is_loopback(address: str) -> bool:
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


@pytest.mark.ray
def test_a_study_runs_in_a_ray_that_asks_for_a_token_without_a_home(visit: Visit) -> None:
    assert visit.code == 0, (visit.folder / "log").read_text()
    assert len(ResultsTable(visit.folder / "done" / "trials").read()) >= 5


@pytest.mark.ray
def test_every_process_of_a_ray_of_ours_listens_on_loopback_alone(visit: Visit) -> None:
    assert {HEAD, RAYLET, AGENT, REPLICA} <= visit.listeners.keys()
    open_ones = {name: found for name, found in visit.listeners.items() if not all(map(is_loopback, found))}
    assert open_ones == {}


@pytest.mark.ray
def test_a_ray_of_ours_lets_nobody_in_who_does_not_know_its_token(visit: Visit) -> None:
    assert "asks for a token; none was shown, as RAY_AUTH_MODE is 'disabled'" in visit.answers[None]
    assert "asks for a token; the one of RAY_AUTH_TOKEN was shown" in visit.answers["guessed"]


@pytest.mark.parametrize(
    "error", [Exception("The current node timed out."), RaySystemError("The current node timed out.")]
)
def test_a_ray_that_does_not_start_is_told_in_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(**_: object) -> None:
        raise error  # as Ray raises it where the raylet, or the GCS, dies meanwhile

    monkeypatch.setattr(ray, "init", time_out)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    settings = ClusterSettings(
        replicas=1, gpus_per_replica=1, cpus_per_replica=1, address=None, bytes_per_replica=1, hang_after_s=60
    )
    with pytest.raises(PoolError, match="Ray does not start .*The current node timed out"):
        connect(settings)


def test_a_ray_that_does_not_start_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[ClusterSettings] = []

    def fail_at_first(settings: ClusterSettings) -> None:
        tries.append(settings)
        if len(tries) == 1:
            raise NotStartedError("Ray does not start.")

    monkeypatch.setattr(session, "starts_ray", lambda _: True)
    monkeypatch.setattr(session, "connect", fail_at_first)
    settings = ClusterSettings(
        replicas=1, gpus_per_replica=1, cpus_per_replica=1, address=None, bytes_per_replica=1, hang_after_s=60
    )
    RaySession(settings).open()
    assert len(tries) == 2


@pytest.mark.parametrize("address", ["10.0.0.7", "0.0.0.0", "2001:db8::1"])
def test_a_ray_of_ours_that_others_can_reach_is_refused(address: str) -> None:
    with pytest.raises(PoolError, match=f"listens at {address}; expected this machine's loopback address"):
        check_loopback(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_is_accepted(address: str) -> None:
    check_loopback(address)
