"""A size that trains in a second or two."""

import torch

from clipsweep.trials.theory.regression.settings import Ramp, Size

CPU = torch.device("cpu")
TINY = Size(
    n_dims=Ramp(start=1, stop=2, by=1, every_steps=20),
    n_examples=Ramp(start=2, stop=4, by=2, every_steps=20),
    width=32,
    n_blocks=2,
    n_heads=2,
    batch=32,
    learning_rate=3e-3,
    initial_spread=0.15,
    warmup_steps=10,
    max_gradient_norm=1.0,
    checkpoint_steps=(10, 200),
    clipped_steps=(200,),
    n_prompts=64,
)


def quiet(_: str) -> None:
    """Says nothing."""
