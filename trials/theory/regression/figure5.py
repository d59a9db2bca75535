"""Train, measure and clip: ``python -m clipsweep.trials.theory.regression.figure5 --size small --out FOLDER``.

Writes checkpoints and ``figure5.json``, which has all numbers and no picture. A run that was cut off goes on when it is
started again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from clipsweep.trials.base.errors import ClipsweepError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.versions import __version__, package_version
from clipsweep.trials.theory.regression.measure import make_ground, measure_checkpoint, measure_solvers
from clipsweep.trials.theory.regression.settings import SIZES, Size, size_called
from clipsweep.trials.theory.regression.training import train

NUMBERS = "figure5.json"


def make_figure5(name: str, size: Size, seed: int, folder: Path) -> dict[str, Any]:
    """Train a size and measure it, on a GPU if there is one; prints how far it is.

    Args:
        name: Of the size.
        size: What it is.
        seed: Of weights and prompts.
        folder: Takes checkpoints.

    Returns:
        All numbers, as ``figure5.json`` holds them.

    Raises:
        ModelError: A checkpoint in the folder is damaged, or is of another size or seed.
    """
    say = partial(print, flush=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training_seconds = train(size, seed, device, folder, say)
    ground = make_ground(size, seed, device, folder)
    solvers = measure_solvers(ground)
    checkpoints = [measure_checkpoint(ground, step, say) for step in size.checkpoint_steps]
    return {
        "size": name,
        "settings": asdict(size),
        "seed": seed,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "versions": {"clipsweep": __version__, **{each: package_version(each) for each in ("torch", "transformers")}},
        "training_seconds": training_seconds,
        "measuring_seconds": sum(found["seconds"] for found in checkpoints),
        "solvers": solvers,
        "checkpoints": checkpoints,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the numbers of one size and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small", help=f"one of {', '.join(SIZES)}; full needs a GPU")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and numbers")
    parser.add_argument("--seed", type=int, default=0, help="of weights and prompts")
    given = parser.parse_args(arguments)
    try:
        numbers = make_figure5(given.size, size_called(given.size), given.seed, given.out)
    except ClipsweepError as error:
        parser.error(str(error))
    write_text(given.out / NUMBERS, json.dumps(numbers) + "\n")
    print(f"numbers: {given.out / NUMBERS}")


if __name__ == "__main__":
    main()
