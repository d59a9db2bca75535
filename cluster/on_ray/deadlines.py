"""How long a replica may take for a call before it is taken for hung."""

from __future__ import annotations

from collections.abc import Collection, Hashable

from clipsweep.cluster.work import Batch, Look

WARM_TIMES, COLD_TIMES = 5, 10  # what is expected
COLD_FLOORS = (
    30  # of what it has not met: SVDs of large matrices on a CPU take half an hour, and others' are waited for
)
AWAY_S = 5.0


def traits(call: Batch | Look) -> set[Hashable]:
    """What a call needs that later calls find ready: its prompts, and factors and activations where its clips are."""
    if not isinstance(call, Batch):
        return {call}
    prompts: set[Hashable] = {(trial.spec.prompt_set, trial.rows) for trial in call.trials}
    return prompts | {(clip.layer, clip.module, clip.kind) for trial in call.trials for clip in trial.spec.clips}


def limit_s(call: Batch | Look, known: Collection[Hashable], deaths: int, hang_after_s: float) -> float:
    """Seconds that a call may take.

    Several times what is expected, and ``hang_after_s`` at least; much more where the replica meets something for the
    first time; twice as much for each death that it is charged with, so that a slow trial is not failed wrongly.

    Args:
        call: The batch, the place whose singular values are wanted, or what is screened or measured.
        known: Traits of calls that the replica has answered.
        deaths: Of replicas that ran it.
        hang_after_s: The floor.
    """
    expected_s = call.expected_s if isinstance(call, Batch) else None
    if expected_s is not None and traits(call) <= set(known):
        seconds = max(hang_after_s, WARM_TIMES * expected_s)
    else:
        seconds = max(COLD_FLOORS * hang_after_s, COLD_TIMES * (expected_s or 0.0))
    return float(seconds * 2**deaths)
