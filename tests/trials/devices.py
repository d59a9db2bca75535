"""Several devices on a machine that has none: every tensor is a CPU's, and is held to belong to a device of its own.

``cpu:0``, ``cpu:1`` … stand for GPUs, plain ``cpu`` for the host. A tensor is told by its storage; whatever an
operation makes is on the device of what it is made from, and an operation on tensors of two devices is refused, as CUDA
refuses it. Only copies cross; numbers without an axis, and indices, may come from the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HOST = torch.device("cpu")
CROSSING, INDEXING = {"copy_", "_to_copy"}, {"index", "index_put_", "_index_put_impl_"}
DEVICE: Any = Tensor.device.__get__


class Devices:
    """Which device each storage belongs to."""

    def __init__(self) -> None:
        # a weak reference keeps the storage's address from being given to another
        self._places: dict[int, tuple[StorageWeakRef, torch.device]] = {}
        self.counts: dict[torch.device, int] = {}  # operations that ran on each

    def of(self, tensor: Tensor) -> torch.device:
        held = self._places.get(tensor.untyped_storage()._cdata)
        return HOST if held is None else held[1]

    def put(self, tensor: Tensor, device: torch.device) -> None:
        storage = tensor.untyped_storage()
        self._places[storage._cdata] = StorageWeakRef(storage), device  # type: ignore[no-untyped-call]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations on tensors of two devices, and notes where results are."""

    def __init__(self, devices: Devices) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._devices = devices

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunction():
            name = func.overloadpacket.__name__
            given = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, Tensor)]
            met = self._met(name, given)
            if len(set(met)) > 1 and name not in CROSSING:
                raise RuntimeError(f"Expected all tensors to be on the same device, but {name} got {met}")
            result = func(*args, **(kwargs or {}))
            device = self._devices.of(given[0]) if name in CROSSING else (met or [HOST])[0]
            self._devices.counts[device] = self._devices.counts.get(device, 0) + 1
            for made in tree_leaves(result):
                if isinstance(made, Tensor):
                    self._devices.put(made, device)
            return result

    def _met(self, name: str, given: Sequence[Tensor]) -> list[torch.device]:
        """Devices that count, that of the first tensor first."""
        places = [self._devices.of(each) for each in given]
        free = [each.ndim == 0 or (name in INDEXING and number > 0) for number, each in enumerate(given)]
        return [device for device, may in zip(places, free, strict=True) if device != HOST or not may]


class _Calls(TorchFunctionMode):
    """Answers ``tensor.device``, and turns ``device`` arguments into notes of where the result is."""

    def __init__(self, devices: Devices) -> None:
        super().__init__()
        self._devices = devices

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == DEVICE:
            return self._devices.of(args[0])
        if func is Tensor.to:
            return self._to(*args, **kwargs)
        if func is Tensor.cpu:
            return self._to(args[0], HOST)
        asked = kwargs.get("device")
        if asked is not None:
            kwargs["device"] = HOST
        result = func(*args, **kwargs)
        if asked is not None and isinstance(result, Tensor):
            self._devices.put(result, torch.device(asked))
        return result

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        asked: list[Any] = []
        for each in [*args, kwargs.pop("device", None)]:
            if isinstance(each, Tensor):
                asked.append(self._devices.of(each))
            elif isinstance(each, str | torch.device):
                asked.append(torch.device(each))
        device = asked[0] if asked else self._devices.of(tensor)
        dtypes = [getattr(each, "dtype", each) for each in args if isinstance(each, Tensor | torch.dtype)]
        kwargs = {"dtype": kwargs.get("dtype") or (dtypes or [tensor.dtype])[0]}
        if device == self._devices.of(tensor):
            return tensor.to(**kwargs)
        moved = tensor.to(**kwargs, copy=True)
        self._devices.put(moved, device)
        return moved


@contextmanager
def several_devices() -> Iterator[Devices]:
    """Inside, ``cpu:0``, ``cpu:1`` … are devices of their own."""
    devices = Devices()
    with _Operations(devices), _Calls(devices):
        yield devices
