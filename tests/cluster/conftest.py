"""A real Ray cluster on this machine, with a home and a temporary folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Two CPU cores for Ray, whatever the machine has."""
    import ray

    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            _temp_dir=f"{home}/ray",
        )
        yield
        ray.shutdown()
