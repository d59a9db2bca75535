"""The stopping driver: another driver's points until one of the study's stopping rules says that it is enough."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.space.proposal import Choice, Part, Proposal
from clipsweep.orchestrator.study.names import STOPPING_RULES
from clipsweep.orchestrator.study.schema import SearchSection


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What earlier runs of a study did, as far as its stopping rules count it.

    Attributes:
        rows: Stored rows by trial, whose hours count for ``max_gpu_hours``.
        begun: Points that the driver will not ask for again, and that count.
    """

    rows: Mapping[str, StoredRow] = field(default_factory=dict)
    begun: Sequence[Choice] = ()


class StoppingDriver(Driver):
    """Begins no further point once a rule applies; what has begun goes on to its end, in a race as well.

    Points are counted, not trials: one for all its demonstration seeds. The untouched model does not count.
    """

    def __init__(
        self,
        driver: Driver,
        search: SearchSection,
        *,
        n_seeds: int = 1,
        metric: str = "accuracy",
        shares: Mapping[str, float] = {},  # never changed
        gpus: float = 1,
        earlier: Earlier = Earlier(),  # frozen
    ) -> None:
        """Start the clock of ``max_hours``.

        Args:
            driver: Proposes the points.
            search: The study's rules.
            n_seeds: Demonstration seeds, and so trials of each task, of each point.
            metric: Column that an improvement is seen in.
            shares: Of several tasks in the score of a point, by name; none where there is one.
            gpus: Of each replica.
            earlier: What earlier runs of the study did.
        """
        self.adaptive = driver.adaptive
        self._driver = driver
        self._rules = {key: limit for key in STOPPING_RULES if (limit := getattr(search, key)) is not None}
        self._n_parts = n_seeds * max(1, len(shares))
        self._metric = metric
        self._shares = shares
        self._gpus = gpus
        self._seconds = {key: row.seconds or 0.0 for key, row in earlier.rows.items()} if self._rules else {}
        self._total_seconds = sum(self._seconds.values())
        self._began = time.monotonic()
        self._begun = {choice for choice in earlier.begun if choice.clips}
        self._scores: dict[Choice, dict[Part, float | None]] = {}
        self._best: float | None = None
        self._since_best: set[Choice] = set()

    @property
    def reason(self) -> str | None:
        """The rule that applies, as the study file words it; None while none does."""
        reached = {
            "n_trials": len(self._begun),
            "max_hours": (time.monotonic() - self._began) / 3600,
            "max_gpu_hours": self._gpus * self._total_seconds / 3600,
            "patience": len(self._since_best),
        }
        applying = (f"search.{key}: {limit:g}" for key, limit in self._rules.items() if reached[key] >= limit)
        return next(applying, None)

    @property
    def done(self) -> bool:
        """Whether no further point will begin, and of those that have begun none is to be asked for."""
        return self._driver.done or (self.adaptive and not self._driver.owing and self.reason is not None)

    def ask(self, count: int) -> list[Proposal]:
        """What the driver asks for, but for new points once a rule applies."""
        if not self._rules:
            return self._driver.ask(count)
        asked: list[Proposal] = []
        while len(asked) < count and not self.done:
            proposals = self._driver.ask(1)
            if not proposals:
                break
            for proposal in proposals:
                if proposal.choice not in self._begun and proposal.spec.clips and self.reason is not None:
                    continue  # a driver that enumerates may still ask for other seeds of points that have begun
                if proposal.spec.clips:
                    self._begun.add(proposal.choice)
                asked.append(proposal)
        return asked

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Count the row, and pass it on."""
        if self._rules:
            self._count(proposal, row)
        self._driver.tell(proposal, row)

    def _count(self, proposal: Proposal, row: StoredRow) -> None:
        seconds = row.seconds or 0.0
        self._total_seconds += seconds - self._seconds.get(row.trial_id, 0.0)
        self._seconds[row.trial_id] = seconds
        complete = row.is_complete
        scores = self._scores.setdefault(proposal.choice, {})
        counts = self._share(proposal.part) > 0  # else it may have no such score
        scores[proposal.part] = (row.goodness(self._metric) if counts else 0.0) if complete else None
        if len(scores) == self._n_parts:
            self._judge(proposal.choice, self._scores.pop(proposal.choice))

    def _share(self, part: Part) -> float:
        """What the task of a trial counts."""
        return self._shares.get(part[0], 1.0)

    def _judge(self, choice: Choice, scores: Mapping[Part, float | None]) -> None:
        """A point has been told, in a race perhaps not for the first time: it improves on the best, or not."""
        known = {part: score for part, score in scores.items() if score is not None}
        score = fmean(known.values(), map(self._share, known)) if len(known) == len(scores) else None
        if score is not None and (self._best is None or score > self._best):
            self._best = score
            self._since_best.clear()
        elif choice.clips:
            self._since_best.add(choice)
