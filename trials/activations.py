"""Activations that trials share, kept within a budget: on the device, then in host memory, then not at all."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

DEVICE_SHARE = 0.5
HOST_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes that captured activations may take.

    Attributes:
        device_bytes: On the model's device.
        host_bytes: In (pinned) host memory besides; 0 where the model's device is the host.
    """

    device_bytes: int
    host_bytes: int

    @classmethod
    def measure(cls, device: torch.device, asked: int | None = None, sharers: int = 1) -> Budget:
        """Split a budget over device and host.

        Args:
            device: The model's, which is already loaded there.
            asked: Bytes in all; None for half of what is free on the device and a quarter of free host memory.
            sharers: Replicas that share this host's memory.
        """
        host = int(free_host_bytes() * HOST_SHARE) // sharers
        if device.type != "cuda":
            return cls(device_bytes=host if asked is None else asked, host_bytes=0)
        free = int(torch.cuda.mem_get_info(device)[0] * DEVICE_SHARE)
        if asked is None:
            return cls(device_bytes=free, host_bytes=host)
        return cls(device_bytes=min(asked, free), host_bytes=max(0, asked - free))


def free_host_bytes() -> int:
    """Memory that programs can still have: what Linux says is available, else the pages that are free."""
    try:
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply ``change`` to every tensor inside nested tuples, lists and dicts; a tensor met twice is changed once."""
    done: dict[int, Tensor] = {}

    def visit(item: Any) -> Any:
        if isinstance(item, Tensor):
            if id(item) not in done:
                done[id(item)] = change(item)
            return done[id(item)]
        if isinstance(item, dict):
            return {key: visit(each) for key, each in item.items()}
        if isinstance(item, (tuple, list)):
            return type(item)(visit(each) for each in item)
        return item

    return visit(value)


def count_bytes(value: Any) -> int:
    """Bytes of all tensors inside ``value``; views count as what they show, shared tensors once."""
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        stored = tensor.untyped_storage().nbytes()
        sizes.append(min(stored, tensor.numel() * tensor.element_size()))
        return tensor

    map_tensors(value, note)
    return sum(sizes)


@dataclass(slots=True)
class _Group:
    """What was captured at one place of the network, by number of the microbatch."""

    values: dict[int, Any]
    on_host: set[int]


class ActivationStore:
    """Keeps captured values by group and microbatch; the group used longest ago makes room for new ones.

    Groups in use are never dropped: all microbatches are visited in turn, so that dropping the oldest of them would
    drop each just before it is needed. What does not fit is not kept, and is computed again.
    """

    def __init__(self, budget: Budget, device: torch.device) -> None:
        """Start empty."""
        self._budget = budget
        self._device = device
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()
        self._in_use: Collection[Hashable] = ()
        self.device_bytes = 0
        self.host_bytes = 0

    def use(self, groups: Collection[Hashable]) -> None:
        """Say which groups the coming work needs: they are the last to be dropped."""
        self._in_use = groups
        for group in groups:
            if group in self._groups:
                self._groups.move_to_end(group)

    def holds(self, group: Hashable, number: int) -> bool:
        """Whether a value is there."""
        return group in self._groups and number in self._groups[group].values

    def get(self, group: Hashable, number: int) -> Any:
        """A captured value, on the device; None if it was never put or had no room."""
        if not self.holds(group, number):
            return None
        found = self._groups[group]
        value = found.values[number]
        if number in found.on_host:
            value = map_tensors(value, lambda tensor: tensor.to(self._device, non_blocking=True))
        return value

    def put(self, group: Hashable, number: int, value: Any) -> None:
        """Keep a value where there is room for it."""
        if self.holds(group, number):
            return
        size = count_bytes(value)
        evictable = group in self._in_use
        on_device = self._make_room(size, on_host=False, evict=False)
        on_host = not on_device and self._make_room(size, on_host=True, evict=False)
        if not on_device and not on_host and evictable:
            on_device = self._make_room(size, on_host=False, evict=True)
        if not on_device and not on_host:
            return
        kept = self._groups.setdefault(group, _Group(values={}, on_host=set()))
        if on_host:
            value = map_tensors(value, _to_host)
            kept.on_host.add(number)
            self.host_bytes += size
        else:
            self.device_bytes += size
        kept.values[number] = value

    def shrink(self) -> bool:
        """Drop everything and keep at most a quarter of it on the device from now on; False if nothing was there."""
        held = self.device_bytes
        self._budget = replace(self._budget, device_bytes=held // 4)
        self._groups.clear()
        self.device_bytes = self.host_bytes = 0
        return held > 0

    def drop(self, matches: Callable[[Hashable], bool]) -> None:
        """Drop the groups that ``matches`` picks."""
        for group in [group for group in self._groups if matches(group)]:
            self._forget(group)

    def _make_room(self, size: int, *, on_host: bool, evict: bool) -> bool:
        limit = self._budget.host_bytes if on_host else self._budget.device_bytes
        if size > limit:
            return False
        while (self.host_bytes if on_host else self.device_bytes) + size > limit:
            oldest = next((group for group in self._groups if group not in self._in_use), None)
            if not evict or oldest is None:
                return False
            self._forget(oldest)
        return True

    def _forget(self, group: Hashable) -> None:
        dropped = self._groups.pop(group)
        for number, value in dropped.values.items():
            if number in dropped.on_host:
                self.host_bytes -= count_bytes(value)
            else:
                self.device_bytes -= count_bytes(value)


def _to_host(tensor: Tensor) -> Tensor:
    held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=torch.cuda.is_available())
    return held.copy_(tensor)
