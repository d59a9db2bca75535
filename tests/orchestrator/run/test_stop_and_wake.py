import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.orchestrator.run import stop_and_wake

MODULE = stop_and_wake.__name__


@pytest.mark.slow
def test_a_writer_that_is_stopped_at_any_call_and_wakes_after_another_took_over_does_no_harm(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", MODULE, str(tmp_path)], capture_output=True, text=True, timeout=220, check=True
    )
    stops = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(stops) > 30
    for stop in stops:
        told, found = stop["told"].removesuffix("!"), stop["found"]
        assert {"a", *told} <= {*found}, "a row that is told to be stored is found by who takes over"
        assert stop["count"] == stop["third"] == [*found, "z"], "rows count once, and none that came late does"
    assert any(stop["told"].endswith("!") for stop in stops)
