"""Activations that trials share, kept within a budget: on the device, then in host memory, then not at all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.tensors import count_bytes, map_tensors

CROWDED_SHARE = 0.8


@dataclass(slots=True)
class _Memory:
    """One of the two memories: how many bytes it may hold, and how many it holds."""

    limit: int
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A captured value, and what it was counted as.

    Attributes:
        value: As it was put, or with copies of its tensors in host memory.
        size: Bytes.
        memory: Where it is.
        homes: Of each copy in host memory, by its ``id``, the device that it came from; None on the device.
    """

    value: Any
    size: int
    memory: _Memory
    homes: dict[int, torch.device] | None = None

    def restored(self) -> Any:
        """The value, each tensor on the device that it was put from."""
        homes = self.homes
        if homes is None:
            return self.value
        return map_tensors(self.value, lambda tensor: tensor.to(homes[id(tensor)], non_blocking=True))


class ActivationStore:
    """Keeps captured values by group and microbatch; the group that is wanted least makes room for one wanted more.

    Groups in use are never dropped for others: all microbatches are visited in turn, so that dropping the oldest of
    them would drop each just before it is needed. What does not fit is not kept, and is computed again.
    """

    def __init__(self, budget: Budget) -> None:
        """Start empty."""
        self._whole = budget
        self._device = _Memory(budget.device_bytes)
        self._host = _Memory(budget.host_bytes)
        self._groups: OrderedDict[Hashable, dict[int, _Held]] = OrderedDict()  # the latest used last
        self._wanted: dict[Hashable, int] = {}  # 0 in use, then in the order in which they will be

    @property
    def device_bytes(self) -> int:
        """Held on the device."""
        return self._device.used

    @property
    def host_bytes(self) -> int:
        """Held in host memory besides."""
        return self._host.used

    @property
    def crowded(self) -> bool:
        """Whether little room is left on the device."""
        return self._device.used > CROWDED_SHARE * self._device.limit

    def use(self, groups: Collection[Hashable], later: Sequence[Hashable] = ()) -> None:
        """Say which groups the coming work needs: no other pushes them out, and they push out others.

        Args:
            groups: Needed now.
            later: Needed after those, the soonest first: each pushes out what comes after it. Groups that are not
                named here push out none; of those the one used longest ago goes first.
        """
        self._wanted = {}
        for place, group in enumerate(later, start=1):
            self._wanted.setdefault(group, place)
        self._wanted |= dict.fromkeys(groups, 0)
        for group in groups:
            if group in self._groups:
                self._groups.move_to_end(group)

    def holds(self, group: Hashable, number: int) -> bool:
        """Whether a value is there."""
        return number in self._groups.get(group, {})

    def get(self, group: Hashable, number: int) -> Any:
        """A captured value, on the device that it was put from; None if it was never put or had no room."""
        return self._groups[group][number].restored() if self.holds(group, number) else None

    def put(self, group: Hashable, number: int, value: Any) -> None:
        """Keep a value where there is room for it: on the device, or else in host memory."""
        if self.holds(group, number):
            return
        size = count_bytes(value)
        memory = self._find_room(size, group)
        if memory is None:
            return
        held = _Held(value=value, size=size, memory=memory)
        if memory is self._host:
            held = self._copied_to_host(value, size)
        self._groups.setdefault(group, {})[number] = held
        memory.used += size

    def shrink(self) -> bool:
        """Give up half of what is held on the device, and hold no more than that until ``restore``.

        What is wanted least goes first. Of a group the last microbatches go first.

        Returns:
            False if nothing was held there.
        """
        if not self._device.used:
            return False
        self._device.limit = self._device.used // 2
        for group in self._least_wanted_first():
            for number in sorted(self._groups[group], reverse=True):
                if self._device.used <= self._device.limit:
                    return True
                if self._groups[group][number].memory is self._device:
                    self._drop_one(group, number)
        return True

    def restore(self) -> None:
        """Hold as much as the budget says again."""
        self._device.limit = self._whole.device_bytes

    def drop(self, matches: Callable[[Hashable], bool]) -> None:
        """Drop the groups that ``matches`` picks."""
        for group in [group for group in self._groups if matches(group)]:
            for held in self._groups.pop(group).values():
                held.memory.used -= held.size

    def _drop_one(self, group: Hashable, number: int) -> None:
        held = self._groups[group].pop(number)
        held.memory.used -= held.size
        if not self._groups[group]:
            del self._groups[group]

    def _least_wanted_first(self) -> list[Hashable]:
        """All groups: those that nobody named, the one used longest ago first, then from the last needed to the first.

        Those in use come at the very end.
        """
        unnamed = [group for group in self._groups if group not in self._wanted]
        named = [group for group in self._groups if group in self._wanted]
        return unnamed + sorted(named, key=lambda group: -self._wanted[group])

    def _find_room(self, size: int, group: Hashable) -> _Memory | None:
        """A memory with room for so many bytes of a group; if there is none, one where others are dropped for it."""
        for memory in (self._device, self._host):
            if memory.used + size <= memory.limit:
                return memory
        for memory in (self._device, self._host):
            if self._make_room(memory, size, group):
                return memory
        return None

    def _make_room(self, memory: _Memory, size: int, group: Hashable) -> bool:
        """Drop groups that are wanted less than this one, as many as it takes; none where that is not enough."""
        missing = memory.used + size - memory.limit
        dropped: list[Hashable] = []
        for other in self._wanted_less_than(group):
            if missing <= 0:
                break
            freed = sum(held.size for held in self._groups[other].values() if held.memory is memory)
            if freed:
                dropped.append(other)
                missing -= freed
        if missing <= 0:
            self.drop(dropped.__contains__)
        return missing <= 0

    def _wanted_less_than(self, group: Hashable) -> Iterator[Hashable]:
        """Groups that make room for this one, those wanted least first."""
        if group not in self._wanted:
            return
        for other in self._least_wanted_first():
            if other not in self._wanted or self._wanted[other] > self._wanted[group]:
                yield other

    def _copied_to_host(self, value: Any, size: int) -> _Held:
        """Hold copies in host memory of all tensors of ``value``."""
        homes: dict[int, torch.device] = {}

        def copy(tensor: Tensor) -> Tensor:
            copied = _to_host(tensor)
            homes[id(copied)] = tensor.device
            return copied

        return _Held(value=map_tensors(value, copy), size=size, memory=self._host, homes=homes)


def _to_host(tensor: Tensor) -> Tensor:
    """A copy in host memory; pinned, so that it comes back fast, where that can be had."""
    try:
        held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=torch.cuda.is_available())
    except RuntimeError:
        held = torch.empty(tensor.shape, dtype=tensor.dtype)
    return held.copy_(tensor)
