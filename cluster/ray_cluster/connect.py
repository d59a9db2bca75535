"""Join a Ray cluster, or start one on this machine that nobody else can reach."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # its stub lacks them
from ray.exceptions import AuthenticationError, RayError

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.ray_cluster.admission import own_token
from clipsweep.cluster.ray_cluster.reach import AUTO, check_address
from clipsweep.trials.base.errors import NoClusterError, NotStartedError, PoolError, first_line

OBJECT_STORE_BYTES = 150 * 2**20
COMMON: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": True}
log = logging.getLogger(__name__)


def starts_ray(settings: ClusterSettings) -> bool:
    """Whether ``connect`` would start a Ray of our own."""
    return _address(settings) is None and not ray.is_initialized()


def connect(settings: ClusterSettings) -> None:
    """Join the cluster at ``settings.address``, or start one on this machine; replicas print nothing here.

    A Ray that is started here listens on this machine's loopback address alone, and asks for a token that its own
    processes inherit. The environment of this process is left as it was.

    Raises:
        NoClusterError: There is no cluster at that address, or it asks for another token.
        SpecError: The address is none, or a token is named that cannot be read.
        NotStartedError: One of the processes of a Ray that was to be started did not come up.
        PoolError: The Ray that was started listens to other machines.
    """
    address = _address(settings)
    ray_worker.print_to_stdstream = _log_message
    if address is None:
        if not ray.is_initialized():
            _start()
        return
    _join(address, "cluster.address" if settings.address else "RAY_ADDRESS")


def _start() -> None:
    with own_token(), _on_loopback():
        _read_token_again()
        try:
            ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **COMMON)
            listens_at = ray.util.get_node_ip_address()
        except Exception as error:
            if type(error) is not Exception and not isinstance(error, RayError):
                raise  # the very class Exception is Ray's where one of its processes does not come up
            raise NotStartedError(
                f"Ray does not start ({first_line(error)}). Run again, or use --replicas 0."
            ) from error
    try:
        check_loopback(listens_at)
    except PoolError:
        ray.shutdown()
        raise


def _join(address: str, named: str) -> None:
    if not ray.is_initialized():
        _read_token_again()
    if not ray.is_initialized() or address != AUTO:  # 'auto' is then the cluster that this process has joined
        check_address(address, named)
    try:
        ray.init(address=address, **COMMON)
    except (ConnectionError, ValueError, RuntimeError, AuthenticationError) as error:
        raise NoClusterError(
            f"no Ray cluster at {named} {address!r} ({first_line(error)}). Start one with 'ray start --head'."
        ) from error


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have Ray take the loopback address for this machine's, as it does by itself on macOS.

    Its servers listen at the machine's address or, where that is not loopback, at all; ``_node_ip_address`` does not
    help, as Ray replaces 127.0.0.1 by an address that other machines reach.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _read_token_again() -> None:
    """Have Ray read the environment's token: it keeps what it found when it was imported, or last started."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def check_loopback(listens_at: str) -> None:
    """Refuse a Ray of ours that other machines can reach.

    Raises:
        PoolError: It listens at another address than loopback.
    """
    if not ipaddress.ip_address(listens_at).is_loopback:
        raise PoolError(
            f"the Ray that was started listens at {listens_at}; expected this machine's loopback address, as whoever "
            f"reaches Ray runs code as you. ray {ray.__version__} does not heed it: install a version that "
            f"clipsweep's pyproject.toml admits, or use --replicas 0."
        )


def _address(settings: ClusterSettings) -> str | None:
    """Where the cluster is that is to be joined; None for none."""
    return settings.address or os.environ.get("RAY_ADDRESS")


def _log_message(data: Mapping[str, Any], ignore_prefix: bool) -> None:  # noqa: ARG001 - as Ray calls it
    """Log what Ray tells of its processes: it would print that on standard output, where a command's answer belongs."""
    log.info("Ray: %s", " ".join(data["lines"]))
