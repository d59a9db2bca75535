"""The files of a checkpoint that hold no weights: copied, but for what says how the weights are stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipsweep.trials.base.files import whole_file, write_text
from clipsweep.trials.checkpoint.config_file import CONFIG, read_config
from clipsweep.trials.checkpoint.weight_files import TEXT_FILES, WEIGHT_INDEX

LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")
TEMPLATES = "additional_chat_templates"  # a folder, where transformers keeps those beside the first
DTYPE_KEYS = ("dtype", "torch_dtype")  # the second is the older name


def copy_text_files(folder: Path, out: Path) -> None:
    """Copy the tokenizer, the generation config, chat templates and licences.

    Raises:
        OSError: The operating system refuses something.
    """
    patterns = (*TEXT_FILES, "*.tiktoken", *LICENCES, f"{TEMPLATES}/*.jinja")
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(found):
        if path.name not in {CONFIG, WEIGHT_INDEX} and not path.name.endswith(".bin.index.json"):
            with whole_file(out / path.relative_to(folder)) as draft:
                shutil.copyfile(path, draft)


def config_in(folder: Path, dtype: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A folder's config, saying another dtype and what else is changed; that of its decoder says the dtype too.

    Raises:
        ModelError: It cannot be read.
    """
    config = read_config(folder)
    for section in (config, config.get("text_config")):
        if isinstance(section, dict):
            keys = [key for key in DTYPE_KEYS if key in section]
            section.update(dict.fromkeys(keys or DTYPE_KEYS[:1] * (section is config), dtype))
    return config | dict(changes)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole, indented as transformers has it."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
