"""How a user stops a run: Ctrl-C, or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130  # exit code
LOOK_AGAIN_S = 0.1
IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
FINALIZER = "__del__"  # Python prints what is raised there, and goes on
_heard: list[int] = []  # signals of this process before a run watches for them; some libraries swallow the exception


def hear_from_the_start() -> None:
    """Let Ctrl-C end the process with one line, before a command has begun."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # nohup, or a job in the background, ignores it
        signal.signal(signal.SIGINT, _end)


def begin_command() -> None:
    """From now on let Ctrl-C raise KeyboardInterrupt, as a command may have to put something in order."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _end_or_raise)


def end_command() -> None:
    """From now on let Ctrl-C end the process with one line again: after a command nobody would tell of an exception."""
    if signal.getsignal(signal.SIGINT) is _end_or_raise:
        signal.signal(signal.SIGINT, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.stderr.write("interrupted\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def _end_or_raise(number: int, frame: FrameType | None) -> None:
    """Raise; end the second time, or where the exception would be lost, as while a module is being loaded."""
    if _heard or would_swallow(frame):
        _end(number, frame)
    _heard.append(number)
    raise KeyboardInterrupt


def would_swallow(frame: FrameType | None) -> bool:
    """Whether an exception would be lost here: a module is being loaded in this frame or above, or an object ends."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORT_SYSTEM or frame.f_code.co_name == FINALIZER:
            return True
        frame = frame.f_back
    return False


class Interrupt:
    """Ctrl-C and SIGTERM: the first asks the loop to finish what is in flight, the second ends it at once.

    In another thread than the main one nothing is watched, as Python hands signals to the main thread alone.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        """Not yet requested; ``announce`` tells the user when it is."""
        self.requested = False
        self._announce = announce
        self._nothing_in_flight = False
        self._process = os.getpid()
        self._deferred = False
        self._alarm: Any = None  # what SIGALRM meant before it was taken to end a start

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Catch the signals inside the block."""
        if not _in_main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        if _heard:
            raise KeyboardInterrupt
        self.listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Inside the block nothing is in flight: the first signal raises KeyboardInterrupt.

        Where the exception would be lost, as while a module is being loaded, it is raised after that.
        """
        self._nothing_in_flight = True
        try:
            yield
        finally:
            self._nothing_in_flight = False
            if self._deferred:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, self._alarm or signal.SIG_DFL)
        if self.requested:  # a library swallowed the exception
            raise KeyboardInterrupt

    def listen(self) -> None:
        """Take the signals; again after starting Ray, which takes SIGTERM for itself."""
        if _in_main_thread():
            for number in SIGNALS:
                signal.signal(number, self._hear)

    def _hear(self, _number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child that was forked a moment ago, and is about to become another program
            return
        again, self.requested = self.requested, True
        if again:
            raise KeyboardInterrupt
        if not self._nothing_in_flight:
            self._announce("interrupted: finishing what is in flight; once more ends it at once")
            return
        self._deferred, self._alarm = True, signal.signal(signal.SIGALRM, self._end_start)
        self._end_start(signal.SIGALRM, frame)

    def _end_start(self, _number: int, frame: FrameType | None) -> None:
        """Raise, as nothing is in flight yet; a little later where the exception would be lost."""
        if would_swallow(frame):
            signal.setitimer(signal.ITIMER_REAL, LOOK_AGAIN_S)
        else:
            raise KeyboardInterrupt


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
