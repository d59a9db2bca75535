"""The model: GPT-2's blocks between a linear map that reads vectors and one that gives a number."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from clipsweep.trials.theory.regression.prompts import Prompts
from clipsweep.trials.theory.regression.settings import Size

PROMPTS_AT_ONCE = 256


class RegressionModel(nn.Module):
    """Reads ``x`` and ``y`` in turn, and predicts ``y`` at every ``x``. It has no dropout.

    Attributes:
        config: Of the blocks; by it clips find their matrices.

    Source:
        Garg et al. (2022), arXiv:2208.01066.
    """

    def __init__(self, size: Size) -> None:
        """Random weights, of torch's own generator: ``build_model`` seeds it."""
        super().__init__()
        self.config = GPT2Config(
            vocab_size=1,  # it reads vectors
            n_positions=2 * size.n_examples.stop + 1,
            n_embd=size.width,
            n_layer=size.n_blocks,
            n_head=size.n_heads,
            activation_function="gelu_pytorch_tanh",  # GPT-2's function, in half the time: one operation, not eight
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            initializer_range=size.initial_spread,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
        )
        self.read_in = nn.Linear(size.n_dims.stop, size.width)
        self.backbone = GPT2Model(self.config)
        self.read_out = nn.Linear(size.width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict.

        Args:
            tokens: Shape ``(prompts, 2 * examples + 1, dims)``, as ``Prompts.tokens`` has them.

        Returns:
            Shape ``(prompts, examples + 1)``: at each ``x``, from what stands before it.
        """
        hidden = self.backbone(inputs_embeds=self.read_in(tokens)).last_hidden_state
        predicted: Tensor = self.read_out(hidden[:, ::2])[..., 0]
        return predicted


def build_model(size: Size, seed: int, device: torch.device) -> RegressionModel:
    """An untrained model: of each seed the same weights on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RegressionModel(size).to(device)


@torch.inference_mode()
def predict(model: RegressionModel, prompts: Prompts) -> Tensor:
    """What a model predicts for prompts on its device: shape ``(prompts, examples + 1)``."""
    starts = range(0, len(prompts.w), PROMPTS_AT_ONCE)
    return torch.cat([model(prompts.part(start, start + PROMPTS_AT_ONCE).tokens()) for start in starts])
