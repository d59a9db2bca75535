"""Train the model, and keep checkpoints that a later run goes on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.theory.regression.model import RegressionModel, build_model
from clipsweep.trials.theory.regression.prompts import draw_prompts, normalised_errors
from clipsweep.trials.theory.regression.settings import Size

WEIGHTS, MOMENTS = "weights ", "adam "  # how the names of tensors in a checkpoint begin
SECONDS = "seconds"  # what training to it took
MEASURED = {"checkpoint_steps", "clipped_steps", "n_prompts"}  # what of a size does not change the weights
TOLD_EVERY = 250
Say = Callable[[str], None]


def train(size: Size, seed: int, device: torch.device, folder: Path, say: Say = print) -> float:
    """Train to the last checkpoint of ``size``, from the last one that ``folder`` holds with all before it.

    On one thread a repeated run, and one that goes on, give the same weights bit by bit. Each step's prompts are drawn
    by its number, so there is no state of draws to keep. The loss is the squared error over ``d``, averaged over all
    queries; the optimiser is Adam.

    Args:
        size: What to train.
        seed: Of weights and prompts.
        device: Where.
        folder: Keeps the checkpoints.
        say: Takes a line now and then.

    Returns:
        Seconds that it took, with those of the runs that it goes on from.

    Raises:
        ModelError: A checkpoint in the folder is damaged, or is of another size or seed.
    """
    model = build_model(size, seed, device)
    adam = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=size.learning_rate)
    done = _last_before_a_gap(size, folder)
    began = time.monotonic()
    if done:
        stored = read_checkpoint(folder, size, seed, done)
        _restore(model, adam, stored, device)
        began -= stored[SECONDS].item()
        say(f"goes on from the checkpoint after {done} steps")
    for step in range(done, size.checkpoint_steps[-1]):
        loss = train_one_step(model, adam, size, seed, step)
        if step % TOLD_EVERY == 0 or step + 1 == size.checkpoint_steps[-1]:
            say(f"step {step}: error {loss.item():.3f}, {time.monotonic() - began:.0f} s")
        if step + 1 in size.checkpoint_steps:
            seconds = torch.tensor(time.monotonic() - began, dtype=torch.float64)
            _write_checkpoint(
                checkpoint_path(folder, step + 1), model, adam, seconds, training_facts(size, seed, step + 1)
            )
    return time.monotonic() - began


def train_one_step(model: RegressionModel, adam: torch.optim.Adam, size: Size, seed: int, step: int) -> Tensor:
    """One step of Adam on fresh prompts; the error before it, averaged over all queries."""
    dims = size.n_dims.at(step)
    prompts = draw_prompts(
        f"regression, training step {step}",
        seed,
        size.batch,
        n_dims=size.n_dims.stop,
        n_examples=size.n_examples.at(step),
        active_dims=dims,
    ).to(model.read_in.weight.device)
    error = normalised_errors(model(prompts.tokens()), prompts).mean() * (size.n_dims.stop / dims)
    adam.zero_grad()
    torch.autograd.backward(error)
    if size.max_gradient_norm is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), size.max_gradient_norm)
    for group in adam.param_groups:
        group["lr"] = size.learning_rate * min(1.0, (step + 1) / max(1, size.warmup_steps))
    adam.step()
    return error.detach()


def load_trained(size: Size, seed: int, device: torch.device, folder: Path, step: int) -> RegressionModel:
    """The model of a checkpoint, for inference.

    Raises:
        ModelError: There is none, it is damaged, or it is of another size or seed.
    """
    stored = read_checkpoint(folder, size, seed, step)
    model = build_model(size, seed, device)
    model.load_state_dict(_named(stored, WEIGHTS))
    return model.eval().requires_grad_(False)


def _last_before_a_gap(size: Size, folder: Path) -> int:
    """Step of the last checkpoint that is there with all before it; 0 for none. Those after a gap are made again."""
    there = takewhile(lambda step: checkpoint_path(folder, step).exists(), size.checkpoint_steps)
    return max(there, default=0)


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a checkpoint."""
    return folder / f"step-{step:06}.safetensors"


def training_facts(size: Size, seed: int, step: int) -> dict[str, str]:
    """What the weights after ``step`` steps follow from; the header of a checkpoint says it."""
    trained_by = {key: value for key, value in asdict(size).items() if key not in MEASURED}
    return {"size": json.dumps(trained_by, sort_keys=True), "seed": str(seed), "step": str(step)}


def read_checkpoint(folder: Path, size: Size, seed: int, step: int) -> dict[str, Tensor]:
    """The tensors of a checkpoint: weights, what Adam remembers of each, and the seconds of training.

    Raises:
        ModelError: There is none, it is damaged, or it is of another size or seed.
    """
    path = checkpoint_path(folder, step)
    try:
        with safe_open(path, framework="pt") as opened:
            noted = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is no whole checkpoint ({error}); expected one of training. Delete it.") from error
    if noted != training_facts(size, seed, step):
        raise ModelError(
            f"{path} was made with other settings or another seed; expected seed {seed} and the settings of this run. "
            f"Choose another folder, or delete it."
        )
    return tensors


def _write_checkpoint(
    path: Path, model: RegressionModel, adam: torch.optim.Adam, seconds: Tensor, facts: dict[str, str]
) -> None:
    """Write all that a run goes on from, whole or not at all."""
    tensors = {f"{WEIGHTS}{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        tensors |= {f"{MOMENTS}{name} {key}": moment for key, moment in adam.state[parameter].items()}
    with whole_file(path) as draft:
        save_file(tensors | {SECONDS: seconds}, draft, facts)


def _restore(model: RegressionModel, adam: torch.optim.Adam, stored: dict[str, Tensor], device: torch.device) -> None:
    """Put a checkpoint's weights and Adam's memory back."""
    model.load_state_dict(_named(stored, WEIGHTS))
    moments = _named(stored, MOMENTS)
    for name, parameter in model.named_parameters():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            if f"{name} {key}" in moments:
                moment = moments[f"{name} {key}"]
                adam.state[parameter][key] = moment if key == "step" else moment.to(device)


def _named(stored: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that."""
    return {name.removeprefix(start): tensor for name, tensor in stored.items() if name.startswith(start)}
