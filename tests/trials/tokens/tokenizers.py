"""Small tokenizers of the three kinds, and tasks of a few rows in words of the test's own."""

from __future__ import annotations

from dataclasses import replace

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.definition import Source, TaskDefinition, Wording, make_example
from clipsweep.trials.tasks.task import Task

START, UNKNOWN = "<s>", "<unk>"
TEXTS = ["a film about nothing is good or bad or fine", "text : label : good bad", "< s > / un k end [ URL ] |"] * 9
ALPHABET = ["\n", *(chr(code) for code in range(33, 127))]
ONE_SHOT = PromptSet(shots=1, demo_seed=0, split="validation")


def byte_level() -> PreTrainedTokenizerFast:
    """BPE over bytes, as GPT-2's."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [START, "</s>", "<|turn|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=START, eos_token="</s>")


def marked_words() -> PreTrainedTokenizerFast:
    """BPE over marked beginnings of words, as LLaMA's."""
    bpe = Tokenizer(models.BPE(unk_token=UNKNOWN))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    bpe.decoder = decoders.Metaspace(prepend_scheme="first")
    special = [START, "</s>", "<|turn|>", UNKNOWN]
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=special, initial_alphabet=ALPHABET, show_progress=False
    )
    bpe.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=START, eos_token="</s>", unk_token=UNKNOWN)


def unigram() -> PreTrainedTokenizerFast:
    """A unigram model, whose pieces include the special tokens: it makes them of their text by itself."""
    pieces = [(START, 0.0), ("</s>", 0.0), (UNKNOWN, 0.0), ("▁good", -2.0), ("▁bad", -2.0)]
    pieces += [(character, -4.0) for character in ["▁", *ALPHABET]]
    model = Tokenizer(models.Unigram(pieces, unk_id=2))
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    model.add_special_tokens([AddedToken(text, special=True) for text in (START, "</s>", UNKNOWN)])
    return PreTrainedTokenizerFast(tokenizer_object=model, bos_token=START, eos_token="</s>", unk_token=UNKNOWN)


def make_task(*texts: str, query: str = "text: {text}\nlabel:", **wording: object) -> Task:
    """A task whose rows have these texts; the last two are those that demonstrations are drawn from, one of a class."""
    settings: dict[str, object] = {"query": query, "answers": (" good", " bad"), **wording}
    definition = TaskDefinition(
        source=Source(path="rows"),
        wording=Wording(**settings),  # type: ignore[arg-type]
        classes={"0": 0, "1": 1},
    )
    rows = [
        make_example(definition, {"text": text, "label": number % 2}, ("train", number))
        for number, text in enumerate([*texts, "one", "two"])
    ]
    return Task(
        name="mine",
        seed=0,
        definition=definition,
        demonstrations=tuple(rows[-2:]),
        splits={"validation": tuple(rows[:-2])},
        dropped={},
    )


def with_answers(task: Task, *answers: str) -> Task:
    """The task with other answers in its rows."""
    rows = tuple(replace(row, answers=answers) for row in task.splits["validation"])
    return replace(task, splits={"validation": rows})


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """What a tokenizer makes of a text without special tokens."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
