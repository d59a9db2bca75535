"""How many bytes an engine may take besides its model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from clipsweep.trials.base.memory import free_host_bytes

DEVICE_SHARE = 0.4
HOST_SHARE = 0.25
TRIALS_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes that an engine may take besides its model.

    Attributes:
        device_bytes: Captured activations on the model's devices.
        host_bytes: Captured activations in (pinned) host memory; 0 where the model's device is the host.
        trials_bytes: Weights and prefixes of the trials that run together, and as much again each for SVD factors, for
            the untouched model's prefixes and, where the theory is measured, for Gram matrices.
    """

    device_bytes: int
    host_bytes: int
    trials_bytes: int = 2**30

    @classmethod
    def measure(cls, *devices: torch.device, asked: int | None = None, sharers: int = 1) -> Budget:
        """Split what is free; of several devices, on the fullest, as all captured activations may end up there.

        Args:
            devices: The model's, which is already loaded there.
            asked: Bytes for captured activations in all; None for a share of what is free on device and host.
            sharers: Replicas that share this host's memory.
        """
        free = free_host_bytes() // sharers
        host = int(HOST_SHARE * free)
        if devices[0].type != "cuda":
            held = host if asked is None else asked
            return cls(device_bytes=held, host_bytes=0, trials_bytes=int(TRIALS_SHARE * free))
        free = min(torch.cuda.mem_get_info(device)[0] for device in devices)
        room = int(DEVICE_SHARE * free)
        return cls(
            device_bytes=room if asked is None else min(asked, room),
            host_bytes=host if asked is None else min(max(0, asked - room), host),
            trials_bytes=int(TRIALS_SHARE * free),
        )

    def group(self, sizes: Sequence[int]) -> Iterator[list[int]]:
        """Trials that are in memory together: as many as fit in ``trials_bytes``, and at least one.

        Args:
            sizes: Bytes of each trial's weights and prefix.
        """
        return in_groups(sizes, self.trials_bytes)


def in_groups(sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Things that are held together, in order: as many as fit in ``limit`` bytes, and at least one.

    Yields:
        Their numbers.
    """
    group: list[int] = []
    held = 0
    for number, size in enumerate(sizes):
        if group and held + size > limit:
            yield group
            group, held = [], 0
        group.append(number)
        held += size
    yield group
