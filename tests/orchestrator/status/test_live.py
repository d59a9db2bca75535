from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipsweep.orchestrator.status.live import Live, ReplicaLife, read_live, write_live
from tests.analysis.store.rows import NOON

REPLICA = ReplicaLife(name="replica-0", node="n", device="cpu", up_since=NOON, rows=7, last_result_at=NOON)


def make_live(**changes: object) -> Live:
    """What a run says of itself a second after it began."""
    now = datetime.now(UTC).replace(microsecond=0)
    fields = {"pid": 4, "host": "h", "began_at": now - timedelta(seconds=1), "updated_at": now, "replicas": (REPLICA,)}
    counts = {"done": 1, "failed": 0, "running": 2, "total": 9}
    return Live(**(fields | counts | changes))  # type: ignore[arg-type]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    live = make_live(seconds_left=3.5, lost=(REPLICA,), replicas_lost=1)
    write_live(tmp_path / "status.json", live)
    assert read_live(tmp_path / "status.json") == live


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"done": 3, "replicas": []}', '{"replicas": [4], "lost": []}'])
def test_a_damaged_or_older_file_is_no_word_and_no_error(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert read_live(tmp_path / "status.json") is None


def test_keys_of_a_newer_clipsweep_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_live(path, make_live())
    path.write_text(path.read_text().replace('"pid"', '"mood": "fine", "pid"'))
    assert read_live(path) == make_live(began_at=read_live(path).began_at, updated_at=read_live(path).updated_at)  # type: ignore[union-attr]
