"""A study whose folder goes away while it runs: it stops at once and says what is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import WriteError

MakeStudy = Callable[..., dict[str, Any]]
RATES = [number / 100 for number in range(0, 60, 5)]


@pytest.fixture
def before_call(monkeypatch: pytest.MonkeyPatch) -> dict[int, Callable[[], object]]:
    """What happens before the n-th call of a replica; what is left when the study ends did not happen."""
    events: dict[int, Callable[[], object]] = {}
    calls = iter(range(1000))
    evaluate = Replica.evaluate

    def watched(self: Replica, batch: Any) -> Any:
        events.pop(next(calls), int)()
        return evaluate(self, batch)

    monkeypatch.setattr(Replica, "evaluate", watched)
    return events


def run(make_study: MakeStudy, folder: Path, cache: Path) -> None:
    study = check_study(make_study(space={"clip_rates": RATES, "layers": [0, 1]}))
    run_study(study, folder, cache, Console(quiet=True))


def remove_files(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("part", [".", "trials"])
def test_a_study_whose_folder_is_removed_stops_and_says_what_is_lost(
    part: str, make_study: MakeStudy, tmp_path: Path, cache: Path, before_call: dict[int, Callable[[], object]]
) -> None:
    folder = tmp_path / "s"
    before_call[2] = lambda: shutil.rmtree(folder / part)
    before_call[6] = lambda: pytest.fail("the study goes on without its folder")
    with pytest.raises(WriteError, match=r"removed or renamed while the study ran. \d+ trials? had been stored there"):
        run(make_study, folder, cache)
    assert not (folder / part).exists()


def test_a_study_whose_folder_is_renamed_stops_and_goes_on_under_its_new_name(
    make_study: MakeStudy, tmp_path: Path, cache: Path, before_call: dict[int, Callable[[], object]]
) -> None:
    before_call[2] = lambda: (tmp_path / "s").rename(tmp_path / "t")
    with pytest.raises(WriteError, match="go on with --dir and its new name"):
        run(make_study, tmp_path / "s", cache)
    assert not (tmp_path / "s").exists()
    shutil.rmtree(tmp_path / "t" / ".claims")  # which says that this process, as it lives on here, still runs the study
    run(make_study, tmp_path / "t", cache)


def test_a_study_stops_where_a_removal_took_some_of_its_files(
    make_study: MakeStudy, tmp_path: Path, cache: Path, before_call: dict[int, Callable[[], object]]
) -> None:
    folder = tmp_path / "s"
    before_call[2] = lambda: remove_files(folder / "trials")
    with pytest.raises(WriteError, match="1 file of .*trials were removed"):
        run(make_study, folder, cache)
