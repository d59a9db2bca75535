import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsweep.cluster.ray_cluster import reach as module
from clipsweep.cluster.ray_cluster.reach import check_address
from clipsweep.trials.base.errors import NoClusterError, SpecError

SETTINGS_FRAME = b"\0\0\0\4\0\0\0\0\0"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine where someone listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answering(server: socket.socket, answer: bytes) -> str:
    """The address of a server that gives one answer."""

    def serve() -> None:
        line, _ = server.accept()
        with line:
            line.recv(100)
            line.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_where_a_grpc_server_answers_there_may_be_a_cluster(listener: socket.socket, prefix: str) -> None:
    check_address(prefix + answering(listener, SETTINGS_FRAME), "cluster.address")


def test_something_else_than_ray_is_refused(listener: socket.socket) -> None:
    address = answering(listener, b"SSH-2.0-OpenSSH_9.6\r\n")
    with pytest.raises(NoClusterError, match="no Ray cluster at cluster.address .*: something else than Ray answers"):
        check_address(address, "cluster.address")


def test_a_port_where_nothing_listens_is_refused_at_once(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    began = time.monotonic()
    with pytest.raises(NoClusterError, match=f"at RAY_ADDRESS '127.0.0.1:{port}': nothing listens there"):
        check_address(f"127.0.0.1:{port}", "RAY_ADDRESS")
    assert time.monotonic() - began < 1


def test_a_server_that_never_answers_is_not_waited_for(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.1)
    with pytest.raises(NoClusterError, match="no answer within"):
        check_address(f"127.0.0.1:{listener.getsockname()[1]}", "cluster.address")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".com"])
def test_a_name_that_stands_for_no_host_is_refused(host: str) -> None:
    with pytest.raises(NoClusterError, match=f"no host '{host}' is known"):
        check_address(f"{host}:6379", "cluster.address")


def test_a_cluster_that_speaks_tls_is_not_greeted(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    check_address(f"127.0.0.1:{listener.getsockname()[1]}", "cluster.address")


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port", "head:0", "head:70000", "http://head", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SpecError, match="expected HOST:PORT of a cluster's head"):
        check_address(address, "cluster.address")


def test_auto_is_the_address_of_the_environment_where_there_is_one(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    listener.close()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(NoClusterError, match="cluster.address 'auto': nothing listens there"):
        check_address("auto", "cluster.address")


def test_auto_after_a_head_that_died_is_refused(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    port = listener.getsockname()[1]
    listener.close()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    with pytest.raises(NoClusterError, match="cluster.address 'auto': nothing listens there"):
        check_address("auto", "cluster.address")


def test_ones_own_ray_is_not_asked_for() -> None:
    check_address("local", "cluster.address")
