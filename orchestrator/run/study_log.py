"""Warnings of a run: each goes to the study's log, and to the user the first time that it is heard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipsweep.cluster.replica_warnings import PACKAGE, text_without_replica
from clipsweep.orchestrator.folder.log_file import log_warning
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.os_words import word_os_error
from clipsweep.trials.base.passwords import hide_password


class StudyLog(logging.Handler):
    """Handles every record of our loggers from WARNING upwards."""

    def __init__(self, folder: StudyFolder, say: Callable[[str], None]) -> None:
        """Nothing has been heard yet.

        Args:
            folder: Of the study.
            say: Shows the user a line.
        """
        super().__init__(logging.WARNING)
        self._folder = folder
        self._say = say
        self._said: set[str] = set()
        self._unwritten = False  # whether the log could not be written once

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and show it unless this or another replica has said the same before."""
        line = hide_password(" ".join(record.getMessage().splitlines()))
        text = text_without_replica(record)
        if text not in self._said:
            self._said.add(text)
            self._say(f"warning: {line}")
        try:
            log_warning(self._folder, line)
        except OSError as error:  # a full disk; whoever warned did nothing wrong
            if not self._unwritten:
                self._say(f"warning: {word_os_error(error, f'writing {self._folder.log}', self._folder.log)}")
            self._unwritten = True


@contextmanager
def recorded_warnings(folder: StudyFolder, say: Callable[[str], None]) -> Iterator[None]:
    """Record what our loggers warn of inside the block, be it of the driver or of a replica."""
    handler, logger = StudyLog(folder, say), logging.getLogger(PACKAGE)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
