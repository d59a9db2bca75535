"""Two-layer models that read English, each with a tokenizer trained here: one as GPT-J's, one as LLaMA2's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPTJConfig, LlamaConfig, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.load import load_model
from clipsweep.trials.tasks.table import TASKS
from clipsweep.trials.tokens.tokenizer import load_tokenizer
from tests.trials.architectures import random_model
from tests.trials.release_reference import TABLE
from tests.trials.written_rows import N_LABELS, rows_of

CONTEXT_LENGTH = 1024
BEGINNING = {"gptj": "<|endoftext|>", "llama": "<s>"}  # only LLaMA2's tokenizer puts its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A checkpoint with all that an engine needs.

    Attributes:
        folder: Where it lies.
        model: In float32, on the CPU.
        tokenizer: As loaded from the folder.
        card: Of the checkpoint.
        engine: Over the model.
        begins: Whether its tokenizer puts a beginning-of-text token.
    """

    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    card: ModelCard
    engine: Engine
    begins: bool


def build_reader(kind: str, folder: Path, cache: Path) -> Reader:
    """Save a checkpoint of a kind of ``BEGINNING`` and load it as a replica does."""
    save_reader(kind, folder)
    card = describe_checkpoint(folder, "float32", cache)
    model = load_model(folder, "float32", "cpu")
    engine = Engine(model, card, FactorCache(cache))
    return Reader(
        folder=folder,
        model=model,
        tokenizer=load_tokenizer(folder),
        card=card,
        engine=engine,
        begins=kind == "llama",
    )


def save_reader(kind: str, folder: Path) -> Path:
    """Save a random model with its tokenizer, as a user's checkpoint folder."""
    tokenizer = train_tokenizer(kind)
    sizes = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 0}
    random_model(
        GPTJConfig(n_positions=CONTEXT_LENGTH, n_embd=32, n_layer=2, n_head=2, rotary_dim=8, **sizes)
        if kind == "gptj"
        else LlamaConfig(
            max_position_embeddings=CONTEXT_LENGTH,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=False,
            **sizes,
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE without a beginning-of-text token, or BPE over marked word starts with ``<s>`` before all."""
    begin = BEGINNING[kind]
    bpe = Tokenizer(models.BPE(unk_token=None if kind == "gptj" else "<unk>"))
    special = [begin] if kind == "gptj" else [begin, "<unk>"]
    alphabet: list[str] = []
    if kind == "gptj":
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        bpe.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(_texts(), trainer)
    if kind == "llama":
        bpe.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=begin, eos_token=begin)


def _texts() -> Iterator[str]:
    """What the tokenizers learn: rows of every task, and every word that is ever compared."""
    for name in N_LABELS:
        words = [*TABLE[name].words, "Mi", *(answer.strip() for answer in TASKS[name].wording.answers)]
        for row in rows_of(name, "train", [12] * N_LABELS[name]):
            yield "\n".join([*(f"{value}" for value in row.values()), TABLE[name].demonstration(row)])
            yield from (f" {word}\n" for word in words)
