"""Which modules have panels of their own, and how figures of the theory tell of their trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clipsweep.analysis.theory.changes import Changes, TrialChange

MOST_MODULES = 3  # that have a panel each; of more the most frequent


def shown_modules(trials: Sequence[TrialChange]) -> list[str]:
    """Modules with a panel each, the most frequent, sorted."""
    return sorted(name for name, _ in Counter(trial.module for trial in trials).most_common(MOST_MODULES))


def other_modules(trials: Sequence[TrialChange]) -> str:
    """That some modules are not shown, as a sentence after a space; empty where all are."""
    others = sorted({trial.module for trial in trials} - {*shown_modules(trials)})
    return f" Without {', '.join(others)}, which fewer trials clip." if others else ""


def prompt_sets_in_words(changes: Changes) -> str:
    """What prompts trials were compared on: ``prompt set (task, shots and demonstration seed; 2 here)``."""
    return f"prompt set (task, shots and demonstration seed; {len(changes.prompt_sets)} here)"
