"""What a study is about: its model and its task, as far as trials and figures depend on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.trial import TEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the names in a study file stand for.

    With it the results can be read where neither the checkpoint nor the data is.

    Attributes:
        card: The model.
        task_fingerprint: The task with its rows.
        split_sizes: Rows of each split.
        dropped: Rows kept out of demonstrations and of validation because their text is in another split.
        most_common: By split, the share of rows whose answer is the most common one; empty in older folders.
    """

    card: ModelCard
    task_fingerprint: str
    split_sizes: dict[str, int]
    dropped: dict[str, int]
    most_common: dict[str, float] = field(default_factory=dict)

    @property
    def tested(self) -> bool:
        """Whether the task has a test split."""
        return bool(self.split_sizes.get(TEST))
