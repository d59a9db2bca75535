"""Where each model family keeps its matrices: a new family is an entry of ``FAMILIES``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trials.errors import ModelError, unknown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Names inside a checkpoint of one ``model_type``.

    Attributes:
        blocks: Path of the module list that holds the decoder blocks.
        roles: Path of each clippable matrix inside a block, by role. All are ``nn.Linear`` weights.
    """

    blocks: str
    roles: dict[str, str]

    def parameter(self, layer: int, role: str) -> str:
        """Name of a matrix among the parameters of the loaded model."""
        return f"{self.blocks}.{layer}.{self.roles[role]}.weight"

    def locate(self, tensor: str) -> tuple[int, str] | None:
        """Find ``(layer, role)`` of a tensor name, with or without the base model's prefix; None if not clippable."""
        _, _, blocks = self.blocks.rpartition(".")
        match = re.fullmatch(rf"(?:.*\.)?{blocks}\.(\d+)\.(.+)\.weight", tensor)
        if match is None:
            return None
        role = next((role for role, path in self.roles.items() if path == match[2]), None)
        return None if role is None else (int(match[1]), role)


_GPTJ = Family(
    blocks="transformer.h",
    roles={
        "q": "attn.q_proj",
        "k": "attn.k_proj",
        "v": "attn.v_proj",
        "o": "attn.out_proj",
        "fc_in": "mlp.fc_in",
        "fc_out": "mlp.fc_out",
    },
)
_LLAMA = Family(
    blocks="model.layers",
    roles={
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "o": "self_attn.o_proj",
        "up": "mlp.up_proj",
        "gate": "mlp.gate_proj",
        "down": "mlp.down_proj",
    },
)
FAMILIES: dict[str, Family] = {"gptj": _GPTJ, "llama": _LLAMA, "mistral": _LLAMA, "qwen2": _LLAMA, "qwen3": _LLAMA}


def family_of(model_type: str) -> Family:
    """Look up a family by the ``model_type`` of a config.

    Raises:
        ModelError: No such entry.
    """
    if model_type not in FAMILIES:
        raise ModelError(unknown_name("model family", model_type, FAMILIES))
    return FAMILIES[model_type]
