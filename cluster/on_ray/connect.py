"""Join a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
from typing import Any

import ray

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.on_ray.reach import AUTO, check_address
from clipsweep.trials.base.errors import NoClusterError, first_line

OBJECT_STORE_BYTES = 150 * 2**20


def starts_ray(settings: ClusterSettings) -> bool:
    """Whether ``connect`` would start a Ray of our own."""
    return _address(settings) is None and not ray.is_initialized()


def connect(settings: ClusterSettings) -> None:
    """Join the cluster at ``settings.address``, or start one on this machine; replicas print nothing here.

    Raises:
        NoClusterError: There is no cluster at that address.
    """
    address = _address(settings)
    named = "cluster.address" if settings.address else "RAY_ADDRESS"
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": True}
    if address is None:
        ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **common)
        return
    if not ray.is_initialized() or address != AUTO:  # 'auto' is then the cluster that this process has joined
        check_address(address, named)
    try:
        ray.init(address=address, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise NoClusterError(
            f"no Ray cluster at {named} {address!r} ({first_line(error)}). Start one with 'ray start --head'."
        ) from error


def _address(settings: ClusterSettings) -> str | None:
    """Where the cluster is that is to be joined; None for none."""
    return settings.address or os.environ.get("RAY_ADDRESS")
