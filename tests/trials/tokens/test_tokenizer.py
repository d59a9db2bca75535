import importlib.util
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config, LlamaConfig

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.tokens import tokenizer as module
from clipsweep.trials.tokens.tokenizer import SAMPLE, load_tokenizer, open_tokenizer
from tests.trials.tokens.tokenizers import TEXTS, byte_level

TEXT = "a film about nothing is good or bad or fine"
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A GPT-2 with a byte-level tokenizer, without weights."""
    GPT2Config().save_pretrained(tmp_path / "m")
    byte_level().save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def edited(folder: Path, file: str, edit: Edit) -> Path:
    content = json.loads((folder / file).read_text())
    edit(content)
    (folder / file).write_text(json.dumps(content))
    return folder


def with_dropout(folder: Path, dropout: float | None) -> Path:
    return edited(folder, "tokenizer.json", lambda content: content["model"].update(dropout=dropout))


def test_merges_are_not_dropped_by_chance(folder: Path) -> None:
    expected = load_tokenizer(folder)(TEXT)["input_ids"]
    noisy = load_tokenizer(with_dropout(folder, 0.5))
    assert [noisy(TEXT)["input_ids"] for _ in range(20)] == [expected] * 20


def test_dropout_that_was_switched_off_is_told(folder: Path) -> None:
    _, notes = open_tokenizer(with_dropout(folder, 0.5))
    assert len(notes) == 1
    assert "samples how it cuts a text (BPE dropout 0.5), as in training; that is switched off" in notes[0]


@pytest.mark.parametrize("dropout", [None, 0.0])
def test_a_tokenizer_without_dropout_says_nothing(folder: Path, dropout: float | None) -> None:
    assert open_tokenizer(with_dropout(folder, dropout))[1] == []


def test_sampling_of_sentencepiece_is_switched_off_and_told(folder: Path) -> None:
    stated = {"enable_sampling": True, "alpha": 0.1, "nbest_size": -1, "add_bos": False}
    edited(folder, "tokenizer_config.json", lambda content: content.update(sp_model_kwargs=stated))
    tokenizer, notes = open_tokenizer(folder)
    assert tokenizer.init_kwargs["sp_model_kwargs"] == {"add_bos": False}
    assert "sentencepiece's enable_sampling" in notes[0]


def test_length_limits_and_padding_of_the_files_cut_and_pad_nothing(folder: Path) -> None:
    expected = load_tokenizer(folder)(TEXT)["input_ids"]
    cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    pad = {"strategy": {"Fixed": 99}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0}
    limits = {"truncation": cut, "padding": {**pad, "pad_token": "<s>"}}
    edited(folder, "tokenizer.json", lambda content: content.update(limits))
    assert load_tokenizer(folder)(TEXT)["input_ids"] == expected


@pytest.mark.parametrize("config", [GPT2Config(), LlamaConfig()], ids=["gpt2", "llama"])
def test_a_folder_without_a_tokenizer_is_told_so(tmp_path: Path, config: Any) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has no tokenizer; expected tokenizer.json, .* Copy the model's tokenizer"):
        load_tokenizer(tmp_path)


def test_a_config_of_a_tokenizer_is_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="has no tokenizer"):
        load_tokenizer(folder)


def test_a_vocabulary_without_its_merges_is_refused(folder: Path) -> None:
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ModelError, match=r"does not load from vocab.json .*expected .*vocab.json with merges.txt"):
        load_tokenizer(folder)


def test_a_tokenizer_of_special_tokens_alone_is_refused(folder: Path) -> None:
    edited(folder, "tokenizer.json", lambda content: content["model"].update(vocab={}, merges=[]))
    with pytest.raises(ModelError, match="has no vocabulary but its special tokens. Copy the model's tokenizer files"):
        load_tokenizer(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"model": {"type": "X"}}'])
def test_a_damaged_tokenizer_is_refused_in_a_sentence(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="does not load from tokenizer.json .*Copy the model's tokenizer files again"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("content", "words"), [("{", "its JSON does not parse"), ("[]", "it holds a list; expected a JSON mapping")]
)
def test_a_damaged_config_of_a_tokenizer_is_refused(folder: Path, content: str, words: str) -> None:
    (folder / "tokenizer_config.json").write_text(content)
    with pytest.raises(ModelError, match=f"tokenizer_config.json is not a tokenizer's config: {words}"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("content", "missing", "words"),
    [
        (b"\n\x0e\n\x05<unk>", {"sentencepiece"}, "sentencepiece is not installed. pip install sentencepiece, or copy"),
        (b"\n\x0e\n\x05<unk>", {"google"}, "protobuf is not installed. pip install protobuf"),
        (b"IQ== 0\nIg== 1\n", {"tiktoken"}, "tiktoken is not installed. pip install tiktoken"),
    ],
)
def test_a_package_that_is_missing_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, missing: set[str], words: str
) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(content)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else importlib.util.find_spec("json"))
    with pytest.raises(ModelError, match=words):
        load_tokenizer(folder)


def test_a_pointer_of_git_lfs_is_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"is no tokenizer of sentencepiece or tiktoken.* is fetched by git lfs pull"):
        load_tokenizer(folder)


def test_a_tokenizer_json_beside_it_needs_no_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert load_tokenizer(folder)(TEXT)["input_ids"]


def test_the_files_of_gpt2_make_the_same_tokenizer(folder: Path, tmp_path: Path) -> None:
    expected = load_tokenizer(folder)(TEXT)["input_ids"]
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    shutil.copy(folder / "config.json", tmp_path / "config.json")
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]))
    assert load_tokenizer(tmp_path)(TEXT)["input_ids"] == expected


def save_sentencepiece(folder: Path, **config: str) -> bytes:
    """A LLaMA whose tokenizer is a model of sentencepiece; what of its file sentencepiece reads."""
    sentencepiece = pytest.importorskip("sentencepiece")
    LlamaConfig().save_pretrained(folder)
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*TEXTS, *SAMPLE]), model_writer=written, vocab_size=80, model_type="bpe", minloglevel=2
    )
    (folder / "tokenizer.model").write_bytes(written.getvalue())
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return written.getvalue()


def test_a_model_of_sentencepiece_is_read_as_sentencepiece_reads_it(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    content = save_sentencepiece(tmp_path, tokenizer_class="LlamaTokenizer")
    tokenizer, notes = open_tokenizer(tmp_path)
    expected = sentencepiece.SentencePieceProcessor(model_proto=content).encode(TEXT)
    assert tokenizer(TEXT, add_special_tokens=False)["input_ids"] == expected
    assert notes == []


def test_a_model_of_sentencepiece_that_is_cut_off_is_said_to_be(tmp_path: Path) -> None:
    content = save_sentencepiece(tmp_path, tokenizer_class="LlamaTokenizer")
    (tmp_path / "tokenizer.model").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="tokenizer.model is no whole model of sentencepiece .* Copy or download it"):
        open_tokenizer(tmp_path)


def test_a_tokenizer_that_reads_otherwise_than_sentencepiece_says_so(tmp_path: Path) -> None:
    save_sentencepiece(tmp_path)
    _, notes = open_tokenizer(tmp_path)
    assert "where sentencepiece itself reads" in notes[0]
    assert "name its class in tokenizer_config.json (tokenizer_class)" in notes[0]
