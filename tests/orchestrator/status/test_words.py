"""How old the knowledge is, and whether the study's process lives, in words."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.live import ReplicaLife, write_live
from clipsweep.orchestrator.status.liveness import look_at_run
from clipsweep.orchestrator.status.screen import draw
from clipsweep.orchestrator.status.status import begun, with_run
from clipsweep.orchestrator.status.watcher import Seen
from clipsweep.orchestrator.status.words import describe_status
from tests.analysis.store.rows import NOON
from tests.orchestrator.status.test_live import make_live


def status_of_run(folder: Path, *, alive: bool, seconds_ago: float, **changes: Any) -> dict[str, Any]:
    """The status of a study whose run wrote its last word so long ago, and holds it or does not."""
    study = StudyFolder(folder)
    with study_lock(study):
        write_live(study.status, make_live(updated_at=datetime.now(UTC) - timedelta(seconds=seconds_ago), **changes))
        (folder / "keep").touch()  # a folder in which nothing was stored is removed with its lock
        run = look_at_run(study)
        document = with_run(begun(run), run)
    if not alive:
        run = look_at_run(study)
        document = with_run(begun(run), run)
    return document


def test_a_run_that_lives_tells_its_process_and_how_old_its_word_is(tmp_path: Path) -> None:
    document = status_of_run(tmp_path / "s", alive=True, seconds_ago=2)
    assert (document["state"], document["alive"], document["pid"]) == ("running", True, 4)
    assert 2 <= document["age_s"] < 20
    assert "last word " in describe_status(document)


def test_a_run_that_lives_and_is_silent_is_said_to_be(tmp_path: Path) -> None:
    document = status_of_run(tmp_path / "s", alive=True, seconds_ago=90)
    assert document["state"] == "running"
    assert "no word for 1:3" in describe_status(document)
    assert "kill -CONT 4" in describe_status(document)


def test_a_run_whose_process_is_gone_is_interrupted_and_tells_no_rate(tmp_path: Path) -> None:
    document = status_of_run(tmp_path / "s", alive=False, seconds_ago=90, seconds_left=7200.0, trials_per_second=1.0)
    assert (document["state"], document["alive"]) == ("interrupted", False)
    assert (document["seconds_left"], document["replicas"]) == (None, [])
    assert "process 4 on h, which ran it, is gone" in describe_status(document)
    assert "Run it again to resume" in describe_status(document)


def test_a_run_that_was_stopped_in_order_is_not_said_to_be_gone(tmp_path: Path) -> None:
    document = status_of_run(tmp_path / "s", alive=False, seconds_ago=90, ended_at=NOON)
    assert "its last run stopped 1:3" in describe_status(document)


def test_a_study_whose_first_run_loads_says_what_it_waits_for(tmp_path: Path) -> None:
    document = status_of_run(tmp_path / "s", alive=True, seconds_ago=0, waits_for="starting Ray …", replicas=())
    assert (document["total"], document["done"]) == (9, 0)
    assert "waiting: starting Ray …" in describe_status(document)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)])
def test_a_screen_fits_its_terminal_whatever_there_is_to_show(size: tuple[int, int], tmp_path: Path) -> None:
    one = ReplicaLife(name="replica-10", node="node" * 9, device="cuda:0", up_since=NOON, down_since=NOON)
    document = status_of_run(
        tmp_path / "s", alive=True, seconds_ago=90, replicas=(one,) * 64, lost=(one,) * 8, replicas_lost=8,
        trials_per_second=2.0, rows_per_second=800.0, seconds_left=99.0,
    )  # fmt: skip
    document["warnings"] = ["a warning that goes on " * 20] * 10
    best = "mlp of layer 30 at clip rate 0.995, 10 shots: accuracy 0.8725, +0.3 points on validation"
    console = Console(width=size[0], height=size[1], record=True, file=(tmp_path / "shown").open("w"))
    console.print(draw(Seen(name="s", document=document, best=best, rows_age_s=60.0), console))
    lines = console.export_text().splitlines()
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    assert lines[-1].startswith("Ctrl-C ends watching")
