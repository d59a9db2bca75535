"""A study's folder: the name of every file in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipsweep.analysis.store.part_names import is_part

STUDIES = Path("studies")  # where studies live unless --dir says otherwise


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Where a study lives on disk. No other module knows the names of its files.

    Attributes:
        path: The folder.
    """

    path: Path

    def __str__(self) -> str:
        """The folder, as messages name it."""
        return str(self.path)

    @property
    def study(self) -> Path:
        """The resolved study, as run."""
        return self.path / "study.yaml"

    @property
    def subject(self) -> Path:
        """What the names in the study stand for."""
        return self.path / "identity.json"

    @property
    def trials(self) -> Path:
        """Folder of the stored rows."""
        return self.path / "trials"

    @property
    def spectrum(self) -> Path:
        """Singular values and condition numbers."""
        return self.path / "spectrum.parquet"

    @property
    def norms(self) -> Path:
        """What demonstrations do in trials that were measured after they had been scored."""
        return self.path / "theory.parquet"

    @property
    def screen(self) -> Path:
        """What a backward pass predicts of clips."""
        return self.path / "screen.parquet"

    @property
    def journal(self) -> Path:
        """Optuna's journal."""
        return self.path / "optuna.journal"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def status(self) -> Path:
        """What the running process last said of itself."""
        return self.path / "status.json"

    @property
    def end(self) -> Path:
        """How the study ended; there is none before."""
        return self.path / "end.json"

    @property
    def deaths(self) -> Path:
        """How many replicas died over which trials; there is none before the first."""
        return self.path / "deaths.json"

    @property
    def log(self) -> Path:
        """A line for each warning of any run; there is none before the first."""
        return self.path / "log.txt"

    @property
    def claims(self) -> Path:
        """Folder of the claims of processes that run the study, or ran it."""
        return self.path / ".claims"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the study, so that earlier versions see it; they know no claims."""
        return self.path / ".lock"

    @property
    def holder(self) -> Path:
        """Which process of an earlier version runs the study, or ran it last."""
        return self.path / ".holder.json"

    @property
    def logs(self) -> Path:
        """Folder of the tracebacks of failed attempts."""
        return self.path / "logs"

    def files(self) -> list[Path]:
        """Every file that a run writes here, but for rows, tracebacks and Optuna's journal, which mends itself."""
        of_lock = [self.lock, self.holder]
        of_model = [self.spectrum, self.screen, self.norms]
        return [self.study, self.subject, *of_model, self.report, self.status, self.end, self.log, *of_lock]

    def holds_rows(self) -> bool:
        """Whether there is a file of rows."""
        return self.trials.is_dir() and any(is_part(path.name) for path in self.trials.iterdir())

    def traceback(self, trial_id: str, attempt: int) -> Path:
        """The traceback of a failed attempt."""
        return self.logs / f"{trial_id}-{attempt}.txt"

    def leftovers_of_lock(self) -> bool:
        """Whether there is nothing here but what a run leaves that never started."""
        left = {path.name for path in (self.claims, self.lock, self.holder, self.log, self.status)}
        return self.path.is_dir() and {path.name for path in self.path.iterdir()} <= left
