"""How many replicas a cluster has room for, and what each is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipsweep.trials.base.errors import SpecError, counted

DEFAULT_GPUS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How many replicas, and what each is given.

    Attributes:
        replicas: How many; None for as many as fit.
        gpus_per_replica: GPUs of each, or a share of one; not used where the cluster has no GPU.
        cpus_per_replica: CPU cores of each, which is also its number of threads on a node without a GPU.
        address: Ray cluster to join; None for ``$RAY_ADDRESS``, else a new one on this machine.
        bytes_per_replica: Host memory that each needs on a node without a GPU; bounds ``replicas=None``.
        hang_after_s: Seconds after which a replica that does not answer is replaced, unless more were expected.
    """

    replicas: int | None
    gpus_per_replica: float
    cpus_per_replica: int
    address: str | None
    bytes_per_replica: int
    hang_after_s: float = 60.0


def fit_replicas(cluster: ClusterSettings, nodes: Sequence[Mapping[str, float]]) -> tuple[float, int]:
    """GPUs of each replica, and how many replicas to start.

    Args:
        cluster: What was asked for.
        nodes: Resources of each node, as Ray names them: ``CPU``, ``GPU``, ``memory`` in bytes.

    Raises:
        SpecError: More was asked for than there is.
    """
    share = cluster.gpus_per_replica if any(node.get("GPU") for node in nodes) else 0.0
    if not share:
        check_gpus_unused(cluster.gpus_per_replica, "the cluster")
    room = sum(room_on(node, cluster.cpus_per_replica, share) for node in nodes)
    wanted = cluster.replicas
    if wanted is None:
        wanted = sum(room_for(node, cluster, share) for node in nodes)
    if wanted < 1 or wanted > room:
        cpus, gpus = sum(node.get("CPU", 0) for node in nodes), sum(node.get("GPU", 0) for node in nodes)
        raise SpecError(
            f"cluster.replicas asks for {counted(max(wanted, 1), 'replica')} with "
            f"{counted(cluster.cpus_per_replica, 'CPU core')} and {counted(share, 'GPU')} each; the cluster has "
            f"{counted(cpus, 'core')} and {counted(gpus, 'GPU')}, which is room for {room}. "
            f"Lower --replicas or what each is given; --replicas 0 runs in this process."
        )
    return share, wanted


def room_for(node: Mapping[str, float], cluster: ClusterSettings, share: float) -> int:
    """Replicas that one node is given at most: as many as fit, and as its memory holds where their number is open.

    One is always tried: what a model needs is an estimate.
    """
    room = room_on(node, cluster.cpus_per_replica, share)
    if share or cluster.replicas is not None:
        return room
    return min(room, max(1, int(node.get("memory", 0) // cluster.bytes_per_replica)))


def check_gpus_unused(asked: float, where: str) -> None:
    """Refuse a number of GPUs, other than the default, where there are none.

    Raises:
        SpecError: It was asked for.
    """
    if asked != DEFAULT_GPUS:
        raise SpecError(
            f"cluster.gpus_per_replica is {asked:g}, but {where} has no GPU; expected GPUs, or the default of "
            f"{DEFAULT_GPUS}, which runs on CPU cores where there are none. Remove the key, or look at 'nvidia-smi'."
        )


def room_on(node: Mapping[str, float], cpus: int, share: float) -> int:
    """Replicas that fit on one node: a share of a GPU is never cut from two."""
    room = int(node.get("CPU", 0) // cpus)
    if not share:
        return room
    gpus = int(node.get("GPU", 0))
    return min(room, gpus * int(1 / share + 1e-6) if share <= 1 else gpus // math.ceil(share))
