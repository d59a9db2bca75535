"""Load a checkpoint's tokenizer, and leave nothing in it to chance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers.models import BPE
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from clipsweep.trials.base.errors import ModelError, in_one_line
from clipsweep.trials.checkpoint.read import AGAIN, is_file, read_mapping, reading

CONFIG = "tokenizer_config.json"
FILES = {"tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tekken.json"}  # a tokenizer's, by their names …
SUFFIXES = {".model", ".tiktoken"}  # … and by their endings
SENTENCEPIECE = {"sentencepiece": "sentencepiece", "protobuf": "google"}  # packages, and what each is imported as
TIKTOKEN = {"tiktoken": "tiktoken"}
SAMPLE = "A film about nothing is good, and 12 more."
SAMPLING = {"enable_sampling", "alpha", "nbest_size"}  # settings of sentencepiece


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a checkpoint's tokenizer; code that comes with a checkpoint is never run.

    Raises:
        ModelError: As ``open_tokenizer``.
    """
    return open_tokenizer(folder)[0]


def open_tokenizer(folder: Path) -> tuple[PreTrainedTokenizerBase, list[str]]:
    """Load a checkpoint's tokenizer, and switch off what would make it read a text otherwise every time.

    Length limits and padding that its files may hold have no effect: no call of ours asks for them.

    Returns:
        The tokenizer, and what the user should know: a sentence where something was switched off.

    Raises:
        ModelError: The folder has none, its files are damaged, or they need a package that is not installed.
    """
    _check_packages(folder)
    stated = _stated_sampling(folder)
    calm = {"sp_model_kwargs": {key: stated[key] for key in stated.keys() - SAMPLING}} if stated else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **calm)
    except ImportError as error:
        raise ModelError(
            f"the tokenizer of {folder} needs a package that is not installed ({in_one_line(error)}). Install it, or "
            f"copy the model's tokenizer.json, which needs none."
        ) from error
    except Exception as error:  # the library of tokenizers raises plain Exception on files that it cannot parse
        raise ModelError(_no_tokenizer(folder, error)) from error
    names = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if tokenizer.vocab_files_names and not any((folder / name).is_file() for name in names):
        raise ModelError(_no_tokenizer(folder))
    added = tokenizer.added_tokens_decoder
    if len(tokenizer) <= len(added) and all(token.special for token in added.values()):
        raise ModelError(
            f"the tokenizer of {folder} has no vocabulary but its special tokens. Copy the model's tokenizer files "
            f"again."
        )
    return tokenizer, _sampling_notes(folder, tokenizer, stated) + _reading_notes(folder, tokenizer)


def _sampling_notes(folder: Path, tokenizer: PreTrainedTokenizerBase, stated: Mapping[str, Any]) -> list[str]:
    """Switch off what samples, and say what it was."""
    found = _switch_off_dropout(tokenizer) + (["sentencepiece's enable_sampling"] if stated else [])
    if not found:
        return []
    return [
        f"the tokenizer of {folder} samples how it cuts a text ({', '.join(found)}), as in training; that is switched "
        f"off, so that a text is read alike every time"
    ]


def _reading_notes(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Say where transformers does not read a text as sentencepiece does, which made the file that it was read from.

    So it is where no file names the tokenizer's class: the first word of a text then lacks its mark.
    """
    for path in _model_files(folder):
        if _packages_for(path) is not SENTENCEPIECE:
            continue
        from sentencepiece import SentencePieceProcessor

        expected = SentencePieceProcessor(model_file=str(path)).encode(SAMPLE, out_type=str)
        found = tokenizer.tokenize(SAMPLE)
        if found != expected and tokenizer.unk_token not in found:
            return [
                f"the tokenizer of {folder} reads {SAMPLE!r} as {' '.join(found)!r}, where sentencepiece itself reads "
                f"{' '.join(expected)!r} from {path.name}; name its class in {CONFIG} (tokenizer_class), or copy the "
                f"model's tokenizer.json"
            ]
    return []


def _switch_off_dropout(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Switch off the dropout of merges, the one way to sample that tokenizer.json can hold; what it was."""
    if not tokenizer.is_fast:
        return []
    model = tokenizer.backend_tokenizer.model
    if not isinstance(model, BPE) or not model.dropout:
        return []
    dropout, model.dropout = model.dropout, None
    return [f"BPE dropout {dropout:g}"]


def _stated_sampling(folder: Path) -> dict[str, Any]:
    """What the tokenizer's config hands to sentencepiece, where that samples; empty where it does not."""
    path = folder / CONFIG
    stated = read_mapping(path, "a tokenizer's config").get("sp_model_kwargs") if is_file(path) else None
    return stated if isinstance(stated, dict) and stated.get("enable_sampling") else {}


def _check_packages(folder: Path) -> None:
    """Refuse a tokenizer that only a package that is not installed can read.

    transformers would take the one kind of file for the other, and name the wrong package.
    """
    for path in _model_files(folder):
        needed = _packages_for(path)
        missing = [package for package, module in needed.items() if find_spec(module) is None]
        if missing:
            raise ModelError(
                f"the tokenizer of {folder} is {path.name}, which is read with {' and '.join(needed)}; "
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed. "
                f"pip install {' '.join(missing)}, or copy the model's tokenizer.json, which needs none."
            )
        if needed is SENTENCEPIECE:
            _check_whole(path)


def _check_whole(path: Path) -> None:
    """Refuse a file that sentencepiece cannot read; transformers would ask for another package to read it with."""
    from sentencepiece import SentencePieceProcessor

    try:
        SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is no whole model of sentencepiece ({reason}). Copy or download it again.") from error


def _model_files(folder: Path) -> list[Path]:
    """The files that a package of its own reads; none where there are others that need none."""
    if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        return []
    return sorted(folder.glob("*.model"))


def _packages_for(path: Path) -> Mapping[str, str]:
    """The packages that read a file: a protocol buffer of sentencepiece, or tiktoken's lines of base64 and a number.

    Raises:
        ModelError: It is neither.
    """
    with reading(path), path.open("rb") as opened:
        begin = opened.read(1000)
    if begin.startswith(b"\n"):
        return SENTENCEPIECE
    if re.match(rb"[A-Za-z0-9+/=]+ \d+\r?\n", begin):
        return TIKTOKEN
    raise ModelError(
        f"{path} is no tokenizer of sentencepiece or tiktoken: it begins with {begin[:20]!r}. {AGAIN} A pointer of Git "
        f"LFS is fetched by git lfs pull."
    )


def _no_tokenizer(folder: Path, error: Exception | None = None) -> str:
    """The refusal of a folder without a tokenizer, or with one that does not load."""
    held = sorted(path.name for path in folder.iterdir() if path.name in FILES or path.suffix in SUFFIXES)
    if not held:
        return (
            f"{folder} has no tokenizer; expected tokenizer.json, tokenizer.model, or vocab.json with merges.txt. Copy "
            f"the model's tokenizer files into it."
        )
    told = not str(error).startswith("Couldn't instantiate")  # lists what a programmer can pass
    reason = f" ({in_one_line(error)})" if error is not None and told else ""
    return (
        f"the tokenizer of {folder} does not load from {', '.join(held)}{reason}; expected tokenizer.json, "
        f"tokenizer.model, or vocab.json with merges.txt. Copy the model's tokenizer files again."
    )
