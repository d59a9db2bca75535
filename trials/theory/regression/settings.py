"""How large the model is, what it is trained on, and which of its checkpoints are clipped: two sizes by name."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.base.errors import SpecError, unknown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A count that grows while a model is trained.

    Attributes:
        start: At the first step.
        stop: Where it stays.
        by: How much it grows each time.
        every_steps: After how many steps it grows.
    """

    start: int
    stop: int
    by: int
    every_steps: int

    def __post_init__(self) -> None:
        """Refuse a count that shrinks or never grows."""
        if not 1 <= self.start <= self.stop or self.by < 1 or self.every_steps < 1:
            raise SpecError(
                f"a ramp from {self.start} to {self.stop} by {self.by} every {self.every_steps} steps cannot be; "
                f"expected 1 <= start <= stop, and at least 1 for the others."
            )

    def at(self, step: int) -> int:
        """The count at a step, counted from 0."""
        return min(self.stop, self.start + self.by * (step // self.every_steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One run of Figure 5: prompts, model, training, and what is measured.

    Attributes:
        n_dims: Entries of each ``x``, the paper's ``d``; it grows to this while the model is trained.
        n_examples: Most examples before a query; they grow to this.
        width: Of the model's hidden state.
        n_blocks: Its decoder blocks.
        n_heads: Attention heads of a block.
        batch: Prompts of a training step.
        learning_rate: Of Adam.
        initial_spread: Standard deviation of untrained weights of the blocks, and of positions.
        warmup_steps: Over how many steps the rate rises to it; 0 for none.
        max_gradient_norm: A longer gradient is cut to this length; None to cut none.
        checkpoint_steps: After how many steps the weights are kept, ascending; the last is where training ends.
        clipped_steps: Those of them whose checkpoints are clipped.
        n_prompts: Prompts of each of the two sets that errors are measured on.
    """

    n_dims: Ramp
    n_examples: Ramp
    width: int
    n_blocks: int
    n_heads: int
    batch: int
    learning_rate: float
    initial_spread: float
    warmup_steps: int
    max_gradient_norm: float | None
    checkpoint_steps: tuple[int, ...]
    clipped_steps: tuple[int, ...]
    n_prompts: int

    def __post_init__(self) -> None:
        """Refuse what cannot be trained or measured before any time is spent."""
        if self.width % self.n_heads:
            raise SpecError(f"width {self.width} is no multiple of n_heads {self.n_heads}; expected equal heads.")
        if not 2 <= self.n_dims.stop <= self.n_examples.stop:
            raise SpecError(
                f"n_dims ends at {self.n_dims.stop} and n_examples at {self.n_examples.stop}; expected 2 dimensions at "
                f"least, and as many examples, so that errors can be told at few and at many."
            )
        steps = self.checkpoint_steps
        if not steps or steps[0] < 1 or list(steps) != sorted({*steps}):
            raise SpecError(f"checkpoint_steps are {steps}; expected numbers of steps from 1 on, each above the last.")
        if not {*self.clipped_steps} <= {*steps}:
            raise SpecError(f"clipped_steps are {self.clipped_steps}; expected some of checkpoint_steps {steps}.")
        if self.n_prompts < 2:
            raise SpecError(f"n_prompts is {self.n_prompts}; expected 2 at least: a standard error needs them.")


SIZES = {
    "small": Size(
        n_dims=Ramp(start=5, stop=5, by=1, every_steps=1),  # it learns without a curriculum
        n_examples=Ramp(start=10, stop=10, by=1, every_steps=1),
        width=64,
        n_blocks=3,
        n_heads=2,
        batch=64,
        learning_rate=2e-3,
        initial_spread=0.15,
        warmup_steps=50,
        max_gradient_norm=1.0,
        checkpoint_steps=(250, 500, 1000, 1500, 2000, 3000, 5000, 7000),
        clipped_steps=(250, 500, 1000, 7000),
        n_prompts=1024,
    ),
    "full": Size(  # Garg et al. (2022), appendix A
        n_dims=Ramp(start=5, stop=20, by=1, every_steps=2000),
        n_examples=Ramp(start=10, stop=40, by=2, every_steps=2000),
        width=256,
        n_blocks=12,
        n_heads=8,
        batch=64,
        learning_rate=1e-4,
        initial_spread=0.02,
        warmup_steps=0,
        max_gradient_norm=None,
        checkpoint_steps=(1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000),
        clipped_steps=(20_000, 50_000, 500_000),
        n_prompts=1280,
    ),
}


def size_called(name: str) -> Size:
    """The size of a name.

    Raises:
        SpecError: There is no such size.
    """
    if name not in SIZES:
        raise SpecError(unknown_name("size", name, SIZES))
    return SIZES[name]
