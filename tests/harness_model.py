"""The harness's own model around one that is loaded already; its import of accelerate, unused then, may be in vain."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

HFLM = "lm_eval.models.huggingface"
STAND_INS = ("accelerate", "accelerate.utils")
USED = ("Accelerator", "InitProcessGroupKwargs", "find_executable_batch_size", "get_max_memory")  # of accelerate


def harness_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **settings: Any) -> Any:
    """``HFLM`` of lm-evaluation-harness on a model as it is; settings are its own, such as ``max_length``."""
    return _import_hflm().HFLM(model, tokenizer=tokenizer, device="cpu", **settings)


def _import_hflm() -> ModuleType:
    if find_spec("accelerate") is not None or HFLM in sys.modules:
        return importlib.import_module(HFLM)
    stand_in = ModuleType("accelerate")
    for name in USED:
        setattr(stand_in, name, None)
    sys.modules |= dict.fromkeys(STAND_INS, stand_in)
    try:
        return importlib.import_module(HFLM)
    finally:
        for name in STAND_INS:  # these alone: what HFLM imports stays, or there would be two of each
            del sys.modules[name]
