"""Wall time of pieces of work that a device may do behind the program."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up the time of several pieces of work, without waiting for a device until it is read."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self, device: torch.device) -> Iterator[None]:
        """Inside, time counts: that of the program on a CPU, that of the current stream on a GPU."""
        if device.type != "cuda":
            began = time.perf_counter()
            try:
                yield
            finally:
                self._seconds += time.perf_counter() - began
            return
        stream = torch.cuda.current_stream(device)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record(stream)
        try:
            yield
        finally:
            end.record(stream)
            self._events.append((begin, end))

    def seconds(self) -> float:
        """What all pieces took; waits for a GPU that is not done."""
        for begin, end in self._events:
            end.synchronize()
            self._seconds += begin.elapsed_time(end) / 1000
        self._events.clear()
        return self._seconds
