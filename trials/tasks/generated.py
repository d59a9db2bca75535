"""Tasks that draw their rows and need no data file: one episode of ``tasks.episodes`` each."""

from __future__ import annotations

import random
from dataclasses import dataclass

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.values import DataRow
from clipsweep.trials.tasks.definition import Source, TaskDefinition, Wording
from clipsweep.trials.tasks.episodes import LABELS, Episode, draw_episode, draw_rows

SPARE_ROWS = 128
MOST_ROWS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """How an episode is drawn.

    Attributes:
        fixed: Whether label words are the topics' own names, which a model can know by heart.
        validation_size: Rows of validation unless the study says otherwise.
        test_size: The same of test.
    """

    fixed: bool
    validation_size: int = 400
    test_size: int = 2000

    def define(self, seed: int) -> TaskDefinition:
        """The task of one episode."""
        labels = self._episode(seed).labels
        return TaskDefinition(
            source=Source(path="generated"),
            wording=Wording(query=" {text}", answers=tuple(f" {word}" for word in labels), demonstration=None),
            classes={str(label): label for label in range(len(labels))},
            validation_size=self.validation_size,
        )

    def draw(self, seed: int, validation_size: int | None, test_size: int | None) -> list[DataRow]:
        """Rows enough for these sizes, no text twice.

        Raises:
            TaskError: More rows than can be drawn in a minute or so.
        """
        sizes = (self.validation_size if validation_size is None else validation_size) + (
            self.test_size if test_size is None else test_size
        )
        if sizes > MOST_ROWS:
            raise TaskError(
                f"task.validation_size and task.test_size ask for {sizes:.7g} rows together; expected at most "
                f"{MOST_ROWS:,} of a task that draws its rows. Lower them, or give rows of your own: task.definition."
            )
        rows = draw_rows(self._episode(seed), seed=seed, n_rows=SPARE_ROWS + 2 * sizes)
        return list({row["text"]: row for row in rows}.values())

    def _episode(self, seed: int) -> Episode:
        return draw_episode(random.Random(f"episode {seed}"), labels=None if self.fixed else LABELS)


GENERATED: dict[str, Generated] = {"episodes": Generated(fixed=False), "topics": Generated(fixed=True)}
