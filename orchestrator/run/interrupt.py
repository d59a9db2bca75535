"""How a user stops a run: Ctrl-C, or SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Ctrl-C and SIGTERM: the first asks the loop to finish what is in flight, the second ends it at once.

    In another thread than the main one nothing is watched, as Python hands signals to the main thread alone.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        """Not yet requested; ``announce`` tells the user when it is."""
        self.requested = False
        self._announce = announce

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Catch the signals inside the block."""
        if not _in_main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Take the signals; again after starting Ray, which takes SIGTERM for itself."""
        if _in_main_thread():
            for number in SIGNALS:
                signal.signal(number, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._announce("interrupted: finishing what is in flight; once more ends it at once")


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
