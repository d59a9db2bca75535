"""Tasks of a few documents, their tokenizers, and what a model gives for every window of them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.tasks.settings import TaskSettings, TextSettings
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.texts.load import load

WORDS = ["the", "film", "was", "dull", "and", "long,", "but", "its", "end", "made", "me", "laugh", "7", "times.\n"]


def draw_documents(count: int, seed: int = 0, longest: int = 60) -> list[str]:
    """Texts of up to so many words, no two alike."""
    draw = random.Random(seed)
    return [f"{number}: " + " ".join(draw.choices(WORDS, k=draw.randrange(longest))) for number in range(count)]


def write_texts(path: Path, texts: Sequence[str], column: str = "text") -> Path:
    """Write texts as a jsonl file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({column: text}) + "\n" for text in texts), encoding="utf-8")
    return path


def load_texts(
    folder: Path,
    texts: Sequence[str],
    *,
    length: int,
    stride: int | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
) -> Task:
    """A task of all these texts, without a test."""
    text = TextSettings(path=str(write_texts(folder / "texts.jsonl", texts)), length=length, stride=stride)
    settings = TaskSettings(name="text", seed=0, test_size=0, text=text)
    return load(settings, folder, lambda: tokenizer or build_tokenizer())


def starting_tokenizer() -> PreTrainedTokenizerFast:
    """One that puts a beginning-of-text token before each text, as LLaMA's."""
    tokenizer = build_tokenizer()
    start, number = tokenizer.bos_token, tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, number)]
    )
    return tokenizer
