"""The texts that kinds of clip look at, and what is said where there are none."""

from __future__ import annotations

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.spec.kinds import DEMONSTRATIONS, VALIDATION, Texts


def refuse_missing(texts: Texts, shots: int, n_rows: int) -> None:
    """Refuse texts that are not there.

    Args:
        texts: Which are wanted.
        shots: Demonstrations in the prompt.
        n_rows: Rows of validation.

    Raises:
        TaskError: There are no demonstrations, or fewer rows than are wanted.
    """
    if texts.split == DEMONSTRATIONS and not shots:
        raise TaskError(
            "a kind of clip takes its inputs from the demonstrations of the prompt, and with 0 shots there are none; "
            "expected 1 shot or more. Set its option split: validation, or take more shots."
        )
    if texts.split == VALIDATION and texts.rows > n_rows:
        raise TaskError(
            f"a kind of clip takes its inputs from the first {texts.rows} rows of validation, which has {n_rows}; "
            f"expected as many. Lower its option rows, or raise task.validation_size."
        )


def refuse_demonstrations(texts: Texts, task: str) -> None:
    """Refuse demonstrations as texts of their own, of a task whose prompts no wording of ours makes.

    Raises:
        TaskError: They are wanted.
    """
    if texts.split == DEMONSTRATIONS:
        raise TaskError(
            f"a kind of clip takes its inputs from the demonstrations of the prompt, which task {task!r} does not have "
            f"as one text for all rows; expected prompts of validation. Set its option split: validation."
        )
