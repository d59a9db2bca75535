import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.start_pool import start_pool
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import PoolError


def test_where_ray_cannot_be_imported_a_run_without_it_is_named(
    make_study: Callable[..., dict[str, Any]], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(check_study(make_study(cluster={"replicas": 1})), tmp_path / "s", cache)
    monkeypatch.setitem(sys.modules, "clipsweep.cluster.on_ray.ray_pool", None)  # as Python has what cannot be imported
    with pytest.raises(PoolError, match=r"Ray cannot be imported \(.*Install it again, or use --replicas 0"):
        start_pool(prepared)
