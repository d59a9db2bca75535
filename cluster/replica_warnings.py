"""Warnings of replicas that run in processes of their own: collected there, logged again in the driver."""

from __future__ import annotations

import logging

PACKAGE = "clipsweep"  # the logger above all of ours
TEXT = "text_without_replica"  # attribute of a record that the driver logs again
log = logging.getLogger(__name__)


class WarningCollector(logging.Handler):
    """Keeps the warnings that this process logs until they are taken.

    Texts are kept and not records: a record may hold arguments that cannot be sent to another process.
    """

    def __init__(self) -> None:
        """Start with none."""
        super().__init__(logging.WARNING)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a record."""
        self._texts.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        """What was logged since the last call, oldest first."""
        texts, self._texts = self._texts, []
        return tuple(texts)


def log_again(replica: str, texts: tuple[str, ...]) -> None:
    """Log in this process what a replica has logged in its own."""
    for text in texts:
        log.warning("%s: %s", replica, text, extra={TEXT: text})


def text_without_replica(record: logging.LogRecord) -> str:
    """The message of a record, without the name of the replica where ``log_again`` put one before it."""
    text: str = vars(record).get(TEXT) or record.getMessage()
    return text
