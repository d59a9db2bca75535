"""What a trial costs next to the others of its study."""

from __future__ import annotations

from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.ahead import Ahead, expected_start, expected_tests, first_rows
from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.cost import CostModel, Extent
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import VALIDATION, TrialSpec

TYPICAL_QUERY, TYPICAL_DEMONSTRATION = 40, 30  # tokens, where none have been counted
LEAST_SHARE = 0.005  # of a whole pass: what a trial costs however little it runs


class RelativeWork:
    """What a trial costs next to others of its study, by the cost model on prompts of typical length.

    The untouched model counts as a whole pass, in which the activations for the others are captured.
    """

    def __init__(self, opened: OpenStudy) -> None:
        """Count nothing yet."""
        self._card = opened.subject.card
        self._cost = CostModel(self._card)
        self._subject = opened.subject
        self._shares: dict[tuple[int, Start], float] = {}

    def __call__(self, spec: TrialSpec, clips: ResolvedClips) -> float:
        """Examples, times the share of a whole pass that the trial of these clips runs."""
        key = (spec.shots, expected_start(clips))
        if key not in self._shares:
            self._shares[key] = self._share(*key)
        return self._shares[key] * self._subject.of(spec.task).split_sizes[spec.split]

    def _share(self, shots: int, start: Start) -> float:
        """What a trial runs of a whole pass, from above 0 to 1."""
        if start.block == self._card.n_layers:
            return 1.0
        before = TYPICAL_DEMONSTRATION * shots
        query = Extent(sequences=1, tokens=TYPICAL_QUERY, before=before, answers=1, logits=2)
        return max(LEAST_SHARE, self._cost.trial([query], start) / self._cost.trial([query], Start(block=0)))


def amount_ahead(opened: OpenStudy, ahead: Ahead) -> Amount:
    """The missing trials; of a race only the first rung of each."""
    work_of, card = RelativeWork(opened), opened.subject.card
    whole = sum(count * work_of(spec, resolve(spec.clips, card)) for spec, count in ahead.missing.items())
    trials, rows = sum(ahead.missing.values()), first_rows(opened)
    if rows is None:
        seen = sum(count * n_rows(opened, spec) for spec, count in ahead.missing.items())
        return Amount(trials=trials, rows=seen, work=whole)
    return Amount(trials=trials, rows=trials * rows, work=whole * rows / opened.subject.first.split_sizes[VALIDATION])


def n_rows(opened: OpenStudy, spec: TrialSpec) -> int:
    """Rows of the split of a trial."""
    return opened.subject.of(spec.task).split_sizes[spec.split]


def amount_on_test(opened: OpenStudy, ahead: Ahead) -> Amount:
    """The winners and their baselines on the test split, as many as there can be of the prompts of missing trials."""
    if not opened.subject.tested:
        return Amount()
    work_of, card = RelativeWork(opened), opened.subject.card
    tests = expected_tests(opened, ahead.missing)
    work = sum(work_of(spec, resolve(spec.clips, card)) for spec in tests)
    return Amount(trials=len(tests), rows=sum(n_rows(opened, spec) for spec in tests), work=work)
