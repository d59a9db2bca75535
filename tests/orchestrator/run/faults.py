"""A process that dies, or meets a full disk, at one of its next calls to the system."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CALLS = ("fsync", "link", "mkdir", "remove", "rename", "replace", "symlink", "unlink")


class Killed(BaseException):
    """The process is dead: whoever catches this is dead too, as every later call of ``CALLS`` raises it again."""


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Inside, the calls of ``CALLS`` from the ``number``-th on, counted from 0, are not made."""

    def before(count: int) -> None:
        if count >= number:
            raise Killed

    with _around_each_call(before):
        yield


@contextmanager
def full_disk_at(number: int) -> Iterator[None]:
    """Inside, the ``number``-th of these calls fails as on a full disk; those before and after it do not."""

    def before(count: int) -> None:
        if count == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with _around_each_call(before):
        yield


@contextmanager
def told_late_at(number: int) -> Iterator[None]:
    """Inside, the ``number``-th of these calls does what it should and then fails, as a disk does that is torn off."""

    def after(count: int) -> None:
        if count == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with _around_each_call(after=after):
        yield


def _nothing(_count: int) -> None:
    pass


@contextmanager
def _around_each_call(
    before: Callable[[int], None] = _nothing, after: Callable[[int], None] = _nothing
) -> Iterator[None]:
    made = 0

    def watch(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            number, made = made, made + 1
            before(number)
            answer = call(*args, **kwargs)
            after(number)
            return answer

        return watched

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, watch(getattr(os, name)))
        yield
