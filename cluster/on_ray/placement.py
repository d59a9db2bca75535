"""On which nodes replicas are wanted, and which nodes are left alone: they refuse, or their replicas keep dying."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from clipsweep.cluster.fit import ClusterSettings, room_for
from clipsweep.trials.base.errors import ClipsweepError, NoMemoryError, first_line

STEADY_S = 60.0  # a replica that ran so long dies of something new
LONGEST_PAUSE_S = 60.0
MEMORY_PAUSE_S, LONGEST_LOAD_PAUSE_S = 30.0, 600.0
LOADS_ALLOWED = 3  # that failed one after the other, where no replica runs
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node that is up.

    Attributes:
        number: As Ray names it, a new one each time it starts.
        name: Of its host.
        resources: As Ray names them: ``CPU``, ``GPU``, ``memory`` in bytes.
        draining: Whether it is about to go.
    """

    number: str
    name: str
    resources: Mapping[str, float]
    draining: bool = False


@dataclass(slots=True)
class _Past:
    """What is known of a node.

    Attributes:
        deaths: Of replicas there, one soon after the other.
        failed_loads: One after the other.
        not_before: When the next replica may be started there.
        refusal: Why none will ever load there.
        short: Whether the last load found too little memory.
        unlike: Whether it was left aside for its GPUs.
    """

    deaths: int = 0
    failed_loads: int = 0
    not_before: float = 0.0
    refusal: ClipsweepError | None = None
    short: bool = False
    unlike: bool = False


@dataclass(slots=True)
class Placement:
    """Where replicas are wanted.

    Attributes:
        cluster: What was asked for.
        share: GPUs of each replica; 0 where they run on CPU cores.
    """

    cluster: ClusterSettings
    share: float
    _past: dict[str, _Past] = field(default_factory=lambda: defaultdict(_Past))

    def room(self, node: Node) -> int:
        """Replicas that a node is given at most."""
        past = self._past[node.number]
        if node.draining or past.refusal is not None or self._is_unlike(node, past):
            return 0
        room = room_for(node.resources, self.cluster, self.share)
        return room if self.cluster.replicas is None else min(room, self.cluster.replicas)

    def missing(self, nodes: Sequence[Node], there: Mapping[str, int], now: float) -> Iterator[Node]:
        """The node of each replica that is to be started now, the emptiest first.

        Args:
            nodes: That are up.
            there: How many replicas each has, those that load included.
            now: By the clock that ``failed`` was told.
        """
        count = {node.number: there.get(node.number, 0) for node in nodes}
        left = None if self.cluster.replicas is None else self.cluster.replicas - sum(there.values())
        ready = [node for node in nodes if self._past[node.number].not_before <= now]
        while left is None or left > 0:
            free = [node for node in ready if count[node.number] < self.room(node)]
            if not free:
                return
            emptiest = max(free, key=lambda node: self.room(node) - count[node.number])
            count[emptiest.number] += 1
            left = None if left is None else left - 1
            yield emptiest

    def loaded(self, node: Node) -> None:
        """Hear that a replica has loaded there."""
        past = self._past[node.number]
        past.failed_loads, past.short = 0, False

    def died(self, node: Node, now: float, lived_s: float) -> None:
        """Hear that a loaded replica died there: the next ones wait, longer each time, unless it ran well for long."""
        past = self._past[node.number]
        past.deaths = past.deaths + 1 if lived_s < STEADY_S else 1
        past.not_before = now + min(LONGEST_PAUSE_S, 2.0 ** (past.deaths - 1) - 1)

    def failed_to_load(self, node: Node, now: float) -> None:
        """Hear that a replica died while it loaded."""
        past = self._past[node.number]
        past.failed_loads += 1
        pause_s = 2.0 ** (past.failed_loads - 1)
        past.not_before = now + (pause_s if past.failed_loads < LOADS_ALLOWED else LONGEST_LOAD_PAUSE_S)

    def refused(self, node: Node, reason: ClipsweepError, now: float) -> bool:
        """Hear why a replica could not load there; gives whether that is new.

        Too little memory may be had later, all else stays.
        """
        past = self._past[node.number]
        if isinstance(reason, NoMemoryError):
            is_new, past.short = not past.short, True
            past.failed_loads += 1
            past.not_before = now + min(LONGEST_LOAD_PAUSE_S, MEMORY_PAUSE_S * 2.0 ** (past.failed_loads - 1))
            return is_new
        is_new, past.refusal = past.refusal is None, reason
        return is_new

    def hopeless(self, nodes: Sequence[Node], *, at_first: bool) -> bool:
        """Whether all nodes that have room refuse, or have failed too often.

        Args:
            nodes: That are up.
            at_first: Whether no replica has ever been loaded: then nothing of ours will give memory back.
        """
        roomy = [node for node in nodes if not node.draining and room_for(node.resources, self.cluster, self.share)]
        pasts = [self._past[node.number] for node in roomy]
        return bool(pasts) and all(
            past.refusal is not None or past.failed_loads >= LOADS_ALLOWED or (past.short and at_first)
            for past in pasts
        )

    def _is_unlike(self, node: Node, past: _Past) -> bool:
        """Whether a node has GPUs while the study runs on CPU cores: its rows would differ in their last digits."""
        unlike = not self.share and node.resources.get("GPU", 0) > 0
        if unlike and not past.unlike:
            past.unlike = True
            log.warning(
                "node %s has GPUs, and this run began on CPU cores; it is not used, as its rows would differ in "
                "their last digits. Run again to use it.", node.name,
            )  # fmt: skip
        return unlike


def words_of_refusal(node: Node, reason: ClipsweepError) -> str:
    """Why nothing is placed on a node, for the user."""
    again = "it is tried again later" if isinstance(reason, NoMemoryError) else "nothing is placed there again"
    return f"node {node.name} cannot load the model ({first_line(reason)}); {again}, the others go on"
