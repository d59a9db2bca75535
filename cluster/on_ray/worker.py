"""A replica as the driver sees it: its actor, its calls in flight, and how it is ended for certain."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from clipsweep.cluster.ray_cluster.placement import Node
from clipsweep.cluster.ray_cluster.session import node_here
from clipsweep.cluster.work import Batch, Look, NormsRequest
from clipsweep.trials.screen.screened import ScreenRequest

Call = Batch | Look


@dataclass(slots=True)
class Worker:
    """An actor with its calls in flight, oldest first.

    Attributes:
        name: As results name it.
        node: Where it was placed.
        actor: Ray's handle.
        began: When its oldest call began, or its load: the clock that ``monotonic`` reads.
        pid: Of its process; None before it runs.
        about: Name, node, process and device; nothing before it is loaded.
        calls: What it was sent and has not answered.
        known: Prompts and places of clips that it has met in a call that ended.
        up_since: When it had loaded its model.
        draining: Whether its node is about to go: it gets no more calls.
    """

    name: str
    node: Node
    actor: Any
    began: float
    pid: int | None = None
    about: dict[str, str] = field(default_factory=dict)
    calls: dict[Any, Call] = field(default_factory=dict)
    known: set[Any] = field(default_factory=set)
    up_since: float = 0.0
    draining: bool = False

    def send(self, call: Call) -> None:
        """Hand over a batch, a place whose singular values are wanted, or what is to be screened or measured."""
        if not self.calls:
            self.began = time.monotonic()
        if isinstance(call, Batch):
            ref = self.actor.evaluate.remote(call)
        elif isinstance(call, ScreenRequest):
            ref = self.actor.screen.remote(call)
        elif isinstance(call, NormsRequest):
            ref = self.actor.norms.remote(call)
        else:
            ref = self.actor.spectrum.remote([call])
        self.calls[ref] = call

    def answered(self, ref: Any) -> Call:
        """Take a call that ended from those in flight; the clock of the next begins."""
        self.began = time.monotonic()
        return self.calls.pop(ref)

    def forget_looks(self) -> None:
        """Wait no more for what is not a batch."""
        for ref in [ref for ref, call in self.calls.items() if not isinstance(call, Batch)]:
            del self.calls[ref]

    def end(self, *, for_certain: bool = False) -> None:
        """End its process. One that is stopped, or stuck in a driver, does not hear Ray, but it dies of SIGKILL.

        Args:
            for_certain: Whether that is sent to another node too, where this has to be asked of Ray.
        """
        ray.kill(self.actor)
        if self.pid is None:
            return
        if self.node.number == node_here():
            kill_replica(self.pid)
        elif for_certain:
            pinned = NodeAffinitySchedulingStrategy(self.node.number, soft=False)
            ray.remote(num_cpus=0, max_retries=0)(kill_replica).options(scheduling_strategy=pinned).remote(self.pid)


def kill_replica(pid: int) -> None:
    """Send SIGKILL to a replica on this machine, unless it has ended and another program has its number."""
    try:
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
            os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):  # it is gone
        return
