"""Make a safetensors folder of Gemma 3 270M from its GGUF file and its tokenizer: the model of ``docs/gemma.md``.

The GGUF file holds quantised weights (Q4_K_M: 4 to 8 bits each). Read back as float32 they are near the original
weights, not equal to them. Needs ``transformers``, ``torch``, ``gguf`` and ``accelerate``.

    python convert.py gemma-3-270m-q4_k_m.gguf TOKENIZER_FOLDER gemma-3-270m
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
from pathlib import Path

import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def check_vocabulary(gguf: Path, tokenizer: Path) -> None:
    """Compare the tokenizer's words with those of the GGUF file, one by one.

    Args:
        gguf: The GGUF file, whose vocabulary has as many words as the embedding has rows.
        tokenizer: Folder with ``tokenizer.json``.

    Raises:
        SystemExit: A number stands for different words in the two.
    """
    words = GGUFReader(gguf).fields["tokenizer.ggml.tokens"].contents()
    theirs = json.loads((tokenizer / "tokenizer.json").read_text())["model"]["vocab"]
    named = {number: word for word, number in theirs.items()}
    words = [word.replace(" ", "▁") for word in words]  # GGUF writes runs of spaces as spaces, the tokenizer as ▁
    different = [number for number, word in enumerate(words) if named.get(number) != word]
    if different:
        first = different[0]
        raise SystemExit(
            f"{len(different)} of {len(words)} words differ between {gguf} and {tokenizer}, first number {first}: "
            f"{words[first]!r} and {named.get(first)!r}; expected the tokenizer of the same model."
        )
    print(f"vocabulary: {len(words)} words, the same in both")


def convert(gguf: Path, tokenizer: Path, out: Path, dtype: torch.dtype) -> None:
    """Write the dequantised weights, the config and the tokenizer's files into one folder.

    Args:
        gguf: The GGUF file.
        tokenizer: Folder with the files of ``TOKENIZER_FILES``.
        out: Folder to make.
        dtype: Type of the written weights. The quantised values are read as float32; bfloat16 rounds them once more.
    """
    read = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
    config = copy.deepcopy(read.config)
    del config.quantization_config  # the weights are plain floats from here on
    plain = AutoModelForCausalLM.from_config(config)  # transformers refuses to save the model that it read from GGUF
    plain.load_state_dict(read.state_dict())
    plain.to(dtype).save_pretrained(out)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, out / name)


def show(out: Path, prompt: str) -> None:
    """Read the folder as a user would, and print what the model makes of a prompt (greedy, 12 tokens)."""
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out)
    answer = model.generate(**tokenizer(prompt, return_tensors="pt"), max_new_tokens=12, do_sample=False)
    print(f"{sum(value.numel() for value in model.parameters()):,} parameters")
    print(tokenizer.decode(answer[0]))


def main() -> None:
    """Convert, then generate some words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    given = parser.parse_args()
    check_vocabulary(given.gguf, given.tokenizer)
    convert(given.gguf, given.tokenizer, given.out, getattr(torch, given.dtype))
    show(given.out, "Paris is the capital of France. Rome is the capital of")


if __name__ == "__main__":
    main()
