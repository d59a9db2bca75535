"""The matrices of a decoder block by name: roles, the modules that group them, and the two parts of a block."""

from __future__ import annotations

from typing import Literal

ATTENTION, MLP = "attention", "mlp"  # the two parts of a block
ATTENTION_ROLES = ("q", "k", "v", "o")
MLP_ROLES = ("up", "gate", "down", "fc_in", "fc_out")
MODULES: dict[str, tuple[str, ...]] = {
    "attn": ATTENTION_ROLES,
    "mlp": MLP_ROLES,
    "all": ATTENTION_ROLES + MLP_ROLES,
    **{role: (role,) for role in ATTENTION_ROLES + MLP_ROLES},
}
ModuleName = Literal["attn", "mlp", "all", "q", "k", "v", "o", "up", "gate", "down", "fc_in", "fc_out"]
