"""Activations that trials share, kept within a budget: on the device, then in host memory, then not at all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clipsweep.trials.base.tensors import count_bytes, map_tensors
from clipsweep.trials.engine.budget import Budget

CROWDED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class _Held:
    """A captured value, and what it was counted as.

    Attributes:
        value: As it was put, or with copies of its tensors in host memory.
        size: Bytes.
        homes: Of each copy in host memory, by its ``id``, the device that it came from; None on the device.
    """

    value: Any
    size: int
    homes: dict[int, torch.device] | None

    @property
    def on_host(self) -> bool:
        return self.homes is not None

    def restored(self) -> Any:
        """The value, each tensor on the device that it was put from."""
        homes = self.homes
        if homes is None:
            return self.value
        return map_tensors(self.value, lambda tensor: tensor.to(homes[id(tensor)], non_blocking=True))


class ActivationStore:
    """Keeps captured values by group and microbatch; the group that is wanted least makes room for one wanted more.

    Groups in use are never dropped: all microbatches are visited in turn, so that dropping the oldest of them would
    drop each just before it is needed. What does not fit is not kept, and is computed again.
    """

    def __init__(self, budget: Budget) -> None:
        """Start empty."""
        self._whole = budget
        self._limits = {False: budget.device_bytes, True: budget.host_bytes}  # by whether they are the host's
        self._used = {False: 0, True: 0}
        self._groups: OrderedDict[Hashable, dict[int, _Held]] = OrderedDict()
        self._wanted: dict[Hashable, int] = {}  # 0 in use, then in the order in which they will be

    @property
    def device_bytes(self) -> int:
        """Held on the device."""
        return self._used[False]

    @property
    def host_bytes(self) -> int:
        """Held in host memory besides."""
        return self._used[True]

    @property
    def crowded(self) -> bool:
        """Whether little room is left on the device."""
        return self._used[False] > CROWDED_SHARE * self._limits[False]

    def use(self, groups: Collection[Hashable], later: Sequence[Hashable] = ()) -> None:
        """Say which groups the coming work needs: no other pushes them out, and they push out others.

        Args:
            groups: Needed now.
            later: Needed after those, the soonest first: each pushes out what comes after it. Groups that are not
                named here push out none; of those the one used longest ago goes first.
        """
        self._wanted = {group: place for place, group in reversed([*enumerate(later, start=1)])}
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
        """Keep a value where there is room for it."""
        if self.holds(group, number):
            return
        size = count_bytes(value)
        on_host = self._room_for(size, ())
        if on_host is None:
            on_host = self._room_for(size, self._wanted_less_than(group))
        if on_host is not None:
            self._groups.setdefault(group, {})[number] = _on_host(value, size) if on_host else _Held(value, size, None)
            self._used[on_host] += size

    def relieve(self) -> bool:
        """Drop everything, and keep nothing on the device until ``restore``; False if that was so already."""
        relieved = self._limits[False] > 0
        self._limits[False] = 0
        self.drop(lambda _: True)
        return relieved

    def restore(self) -> None:
        """Keep as much as the budget says again."""
        self._limits[False] = self._whole.device_bytes

    def drop(self, matches: Callable[[Hashable], bool]) -> None:
        """Drop the groups that ``matches`` picks."""
        for group in [group for group in self._groups if matches(group)]:
            for held in self._groups.pop(group).values():
                self._used[held.on_host] -= held.size

    def _wanted_less_than(self, group: Hashable) -> list[Hashable]:
        """Groups that make room for this one, those wanted least first."""
        if group not in self._wanted:
            return []
        others = [each for each in self._groups if each not in self._wanted]
        after = [each for each in self._groups if self._wanted.get(each, 0) > self._wanted[group]]
        return others + sorted(after, key=lambda each: -self._wanted[each])

    def _room_for(self, size: int, pushing: Sequence[Hashable]) -> bool | None:
        """Whether the host's memory is where there is room, the device's first; None if there is none."""
        return next((on_host for on_host in (False, True) if self._make_room(size, pushing, on_host=on_host)), None)

    def _make_room(self, size: int, pushing: Iterable[Hashable], *, on_host: bool) -> bool:
        """Whether there is room, after dropping as many groups of ``pushing`` as it takes, if that is enough."""
        missing = self._used[on_host] + size - self._limits[on_host]
        dropped: list[Hashable] = []
        for group in pushing:
            if missing <= 0:
                break
            freed = sum(held.size for held in self._groups[group].values() if held.on_host == on_host)
            if freed:
                dropped.append(group)
                missing -= freed
        if missing <= 0:
            self.drop(dropped.__contains__)
        return missing <= 0


def _on_host(value: Any, size: int) -> _Held:
    """Hold copies in host memory of all tensors of ``value``."""
    homes: dict[int, torch.device] = {}

    def copy(tensor: Tensor) -> Tensor:
        held = _to_host(tensor)
        homes[id(held)] = tensor.device
        return held

    return _Held(map_tensors(value, copy), size, homes)


def _to_host(tensor: Tensor) -> Tensor:
    """A copy in host memory; pinned, so that it comes back fast, where that can be had."""
    try:
        held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=torch.cuda.is_available())
    except RuntimeError:
        held = torch.empty(tensor.shape, dtype=tensor.dtype)
    return held.copy_(tensor)
