"""Ctrl-C at a moment at which an exception would be lost."""

import signal
import subprocess
import sys
import time

import pytest

from clipsweep.orchestrator.run.interrupt import Interrupt


class Ending:
    """Ctrl-C comes while Python ends the object."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def end_and_wait() -> None:
    ending = Ending()
    del ending
    time.sleep(5)


def test_an_interrupt_while_an_object_ends_is_raised_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    interrupt = Interrupt(lost.append)
    with interrupt.watched(), pytest.raises(KeyboardInterrupt), interrupt.ending_at_once():
        end_and_wait()
    assert interrupt.requested
    assert lost == []


def test_an_interrupt_between_two_commands_ends_with_one_line() -> None:
    """As between the options before a command and the command, where typer would end without a word."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have left it ignored
        "from clipsweep.orchestrator.run import interrupt\n"
        "interrupt.hear_from_the_start(); interrupt.begin_command(); interrupt.end_command()\n"
        "signal.raise_signal(signal.SIGINT); print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
