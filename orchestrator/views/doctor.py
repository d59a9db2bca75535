"""What the machine has for clipsweep, and what it lacks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from clipsweep.trials.base.versions import package_version

FREE_GIB_WANTED = 2
PACKAGES = ("torch", "transformers", "safetensors", "datasets", "ray", "pyarrow", "scipy", "plotly")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What.
        ok: Whether clipsweep can work with it.
        found: What was found, and how to mend it where it is not ok.
    """

    name: str
    ok: bool
    found: str


def examine(cache: Path) -> list[Check]:
    """Look at Python, packages, processors, GPUs, the cache folder and the embedded model."""
    return [_python(), *map(_package, PACKAGES), _processors(), _gpus(), _cache(cache), _embedded_model(cache)]


def _python() -> Check:
    return Check(
        name="python", ok=sys.version_info >= (3, 11), found=f"{platform.python_version()}; needs 3.11 or newer"
    )


def _package(name: str) -> Check:
    number = package_version(name)
    return Check(name=name, ok=number is not None, found=number or "not installed; run 'pip install clipsweep'")


def _processors() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{os.cpu_count()} cores, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB of memory free"
    return Check(name="processors", ok=True, found=found)


def _gpus() -> Check:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Check(name="GPUs", ok=True, found=", ".join(names) or "none; replicas run on CPU cores")


def _cache(cache: Path) -> Check:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Check(name="cache", ok=False, found=f"{cache}: {error}. Set CLIPSWEEP_CACHE to a folder you may write.")
    free = shutil.disk_usage(cache).free / 2**30
    ok = free >= FREE_GIB_WANTED and os.access(cache, os.W_OK)
    return Check(name="cache", ok=ok, found=f"{cache}, {free:.0f} GiB free; needs {FREE_GIB_WANTED} and to be writable")


def _embedded_model(cache: Path) -> Check:
    from clipsweep.trials.base.errors import ModelError
    from clipsweep.trials.models.describe import describe_checkpoint
    from clipsweep.trials.models.find import EMBEDDED_FOLDER

    try:
        card = describe_checkpoint(EMBEDDED_FOLDER, "float32", cache)
    except (ModelError, OSError) as error:
        return Check(name="embedded model", ok=False, found=f"{error}. Install clipsweep again.")
    return Check(name="embedded model", ok=True, found=f"{card.parameters_total / 1e6:.1f} M parameters")
