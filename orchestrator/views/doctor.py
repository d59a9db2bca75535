"""What the machine has for clipsweep, and what it lacks."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from clipsweep.trials.base.errors import PlaceError
from clipsweep.trials.base.os_words import check_cache
from clipsweep.trials.base.versions import __version__, package_version

FREE_GIB_WANTED = 2
PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "datasets", "ray", "optuna"),
    *("numpy", "scipy", "pandas", "pyarrow", "pydantic", "typer", "plotly"),
)
VARIABLES = (  # that change what a run does; none of them is a secret
    *("CLIPSWEEP_CACHE", "CLIPSWEEP_FACTORS_GIB", "CLIPSWEEP_BEAT_SECONDS", "XDG_CACHE_HOME"),
    *("HF_HOME", "HF_HUB_OFFLINE", "HF_ENDPOINT"),
    *("RAY_ADDRESS", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM", "PYTHONPATH"),
)
PASSWORD = re.compile(r"//[^/@\s]*@")  # in a URL


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
    """Look at versions, processors, GPUs, the environment, the cache and the embedded model: all of a bug report."""
    machine = [_processors(), _gpus(), _environment(), _cache(cache), _embedded_model(cache)]
    return [_clipsweep(), _python(), _platform(), *map(_package, PACKAGES), *machine]


def _clipsweep() -> Check:
    return Check(name="clipsweep", ok=True, found=f"{__version__} from {Path(__file__).parent.parent.parent}")


def _platform() -> Check:
    return Check(name="platform", ok=True, found=platform.platform())


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
    try:
        import torch
    except ImportError as error:  # the line of torch says that it is missing
        return Check(name="GPUs", ok=False, found=f"cannot be told without torch ({error})")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    found = ", ".join(names) or "none; replicas run on CPU cores"
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return Check(name="GPUs", ok=True, found=f"{found} (torch is built with {built})")


def _environment() -> Check:
    held = {name: PASSWORD.sub("//...@", os.environ[name]) for name in VARIABLES if name in os.environ}
    found = ", ".join(f"{name}={value}" for name, value in held.items())
    return Check(name="environment", ok=True, found=found or "none of the variables that matter is set")


def _cache(cache: Path) -> Check:
    try:
        check_cache(cache)
    except PlaceError as error:
        return Check(name="cache", ok=False, found=str(error))
    there = next(each for each in (cache, *cache.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(there).free / 2**30
    return Check(
        name="cache", ok=free >= FREE_GIB_WANTED, found=f"{cache}, {free:.0f} GiB free; needs {FREE_GIB_WANTED}"
    )


def _embedded_model(cache: Path) -> Check:
    from clipsweep.trials.base.errors import ModelError
    from clipsweep.trials.models.describe import describe_checkpoint
    from clipsweep.trials.models.find import EMBEDDED_FOLDER

    try:
        card = describe_checkpoint(EMBEDDED_FOLDER, "float32", cache)
    except (ModelError, OSError) as error:
        return Check(name="embedded model", ok=False, found=f"{error}. Install clipsweep again.")
    return Check(name="embedded model", ok=True, found=f"{card.parameters_total / 1e6:.1f} M parameters")
