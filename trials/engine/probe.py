"""Try, on the model itself, how it can be run."""

from __future__ import annotations

import itertools
import logging
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.patches import head_rows
from clipsweep.trials.decoder.picked_keys import PickedKeys
from clipsweep.trials.decoder.unsupported import NotUnderstood
from clipsweep.trials.decoder.walk import ANSWERS, Capture
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.full_prompts import score_alone
from clipsweep.trials.engine.label_readings import ScoreSheet, pad, read_answers
from clipsweep.trials.engine.microbatches import gather
from clipsweep.trials.engine.passes import Passes
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.spec.start import Start

log = logging.getLogger(__name__)
LABELS = (((1,), (2,)), ((1, 2), (3,)))
BRANCHING = ((1, 2, 3), (4, 5), (1, 6, 7, 2), (3,))
PREFIX, QUERIES, LONG_QUERY = (1, 2, 3), ((4, 5, 6, 7), (3, 6)), 40
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2e-1, torch.float16: 5e-2}
TRIED_QUERIES, TRIED_TOKENS = 3, 64
TOGETHER_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-1, torch.float16: 3e-2}
STRETCHING, TRAINED_LENGTH = ("dynamic", "longrope"), "original_max_position_embeddings"
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)  # of unforeseen models


def try_decoder(model: PreTrainedModel, layout: Layout) -> Decoder | None:
    """The model run block by block, if that gives what full prompts give; tried on a few tokens.

    Returns:
        None where the model is not understood, or where its own code refuses to be run so. An error of our own code
        says nothing of the model, and is raised.
    """
    try:
        decoder = Decoder(model, layout)
        for labels in LABELS:
            _compare(model, decoder, labels)
    except (NotUnderstood, *REFUSALS) as finding:
        if not _is_of_the_model(finding):
            raise
        log.warning("%s is run on full prompts, which is slower: %s", model.config.model_type, finding)
        return None
    decoder.branches = _can_branch(model, decoder)
    if not decoder.trims:
        log.warning("%s: the last block runs on all tokens, as it tells positions by counting", model.config.model_type)
    if not all(decoder.reusable):
        log.warning(
            "%s: some blocks are run whole, as neither of their parts can be told apart", model.config.model_type
        )
    return decoder


def _can_branch(model: PreTrainedModel, decoder: Decoder) -> bool:
    """Whether label words of several tokens may branch off one copy of their query; told in the log where not."""
    decoder.branches = True
    try:
        _compare(model, decoder, BRANCHING)
    except (NotUnderstood, *REFUSALS) as finding:
        if not _is_of_the_model(finding):
            raise
        log.warning("%s: label words of several tokens each read their query: %s", model.config.model_type, finding)
        return False
    return True


def _is_of_the_model(error: Exception) -> bool:
    """Whether an error says that a model cannot be run so: our finding, or raised in the model's or torch's code.

    What is raised in our own code, in the innermost frame, is a mistake of ours; and a lack of memory says nothing.
    """
    if isinstance(error, NotUnderstood):
        return True
    if isinstance(error, RuntimeError) and is_out_of_memory(error):
        return False
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    module: str = innermost.f_globals["__name__"]
    return module.partition(".")[0] != __name__.partition(".")[0]


@torch.inference_mode()
def _compare(model: PreTrainedModel, decoder: Decoder, labels: tuple[tuple[int, ...], ...]) -> None:
    """Score a few made-up prompts both ways.

    Raises:
        NotUnderstood: The scores differ.
    """
    prompts = _made_up(model, labels)
    expected = score_alone(model, prompts, stretches=stretches(model)).sums
    scores = _score_by_blocks(model, decoder, prompts)
    if not torch.isfinite(expected).all():
        return  # what is not finite is for the trials to say
    scores, expected = (each - each.mean(dim=1, keepdim=True) for each in (scores, expected))
    if not (scores - expected).abs().max() <= TOLERANCE[model.dtype] * expected.abs().max():  # NaN fails
        raise NotUnderstood("run block by block it gives other scores")


def _made_up(model: PreTrainedModel, labels: tuple[tuple[int, ...], ...]) -> Prompts:
    """Two short queries and one that is as long as the model allows, up to ``LONG_QUERY``, after a common prefix."""
    config = model.config.get_text_config()
    around = len(PREFIX) + max(map(len, labels))  # a label may be read whole
    limits = (stretch_limit(config), getattr(config, "max_position_embeddings", None), around + LONG_QUERY)
    room = min(limit for limit in limits if limit) - around
    tokens = (*QUERIES, tuple(number % 8 for number in range(room)))
    return Prompts(prefix=PREFIX, queries=tuple(Query(tokens=each, labels=labels, gold=0) for each in tokens))


def _score_by_blocks(model: PreTrainedModel, decoder: Decoder, prompts: Prompts) -> Tensor:
    """Scores of the untouched model, all queries in one microbatch: shape ``(queries, labels)``, float32."""
    nothing_kept = ActivationStore(Budget(device_bytes=0, host_bytes=0))
    together = gather(prompts, range(len(prompts.queries)), branches=decoder.branches)
    passes = Passes(decoder, nothing_kept, prompts, [together], model.device)
    passes.prepare([0], frozenset())
    _, found = passes.visit(0, passes.needs(Start(block=decoder.n_layers)))
    answers = found[Capture(decoder.n_layers, ANSWERS)]
    readings = passes.readings[0]
    sheet = ScoreSheet.blank(prompts, model.device)
    found_here = read_answers(decoder, answers, readings, model.config.get_text_config().vocab_size)
    readings.add_to(sheet, found_here)
    return sheet.sums


class TogetherCheck:
    """Tries whether prompts that are padded, or that share a prefix, give what each gives alone.

    They do not where attention counts padding as tokens or looks ahead, as some do from some length on: those that keep
    so many keys of a sequence. So it is tried on the prompts themselves: on a few of the whole split, whichever part of
    it runs, and on those alone, whatever ran before. So it comes out the same on every replica.
    """

    def __init__(self, model: PreTrainedModel, decoder: Decoder | None) -> None:
        """Nothing has been tried yet.

        Args:
            model: In evaluation mode.
            decoder: The same, where it is run block by block.
        """
        self._model = model
        self._decoder = decoder
        self._passed: dict[Prompts, bool] = {}  # by the few that were tried
        self._told = False

    def passes(self, prompts: Prompts, size: int) -> bool:
        """Whether these prompts may run together, so many at a time; tells in the log when they may not."""
        count = min(size, TRIED_QUERIES if self._decoder is None else 2)
        tried = _sample(prompts, count)
        if tried not in self._passed:
            self._passed[tried] = self._agree(tried)
        return self._passed[tried]

    def _agree(self, prompts: Prompts) -> bool:
        """Whether a few prompts give the same together and alone; the first that do not are told in the log."""
        try:
            self._compare(prompts)
        except NotUnderstood as finding:
            if not self._told:
                log.warning("%s: each prompt is run alone, which is slower: %s", self._model.config.model_type, finding)
            self._told = True
            return False
        return True

    def _compare(self, prompts: Prompts) -> None:
        """Compare the logits of a few prompts, the longest first, together and alone.

        Block by block the answer of the shortest is enough: it stands before padding, and after a prefix that was read
        without it. Otherwise every token is compared, and the longest without its last token.

        Raises:
            NotUnderstood: They differ, or are bound to differ for other prompts.
        """
        if self._picks_among_labels(prompts):
            raise NotUnderstood("its attention picks among the keys of a text, those of other labels among them")
        prompts = _with_labels(prompts, self._model.config.get_text_config().vocab_size)
        texts = [prompts.prefix + query.tokens for query in prompts.queries]
        tokens = torch.tensor([token for (token,) in prompts.queries[0].labels], device=self._model.device)
        with PickedKeys() as picked:
            if self._decoder is None:
                pairs = self._at_every_token(texts, tokens)
            else:
                answers = _score_by_blocks(self._model, self._decoder, prompts)
                pairs = [(answers[-1:], self._logits(texts[-1:], tokens)[0, -1:])]
        if any(len(text) in picked.lengths and self._picks_along(text[:-1], tokens) for text in texts):
            raise NotUnderstood("its attention picks among the keys of a text, padding among them")
        if not all(torch.isfinite(alone).all() for _, alone in pairs):
            return  # what is not finite is for the trials to say
        tolerance = TOGETHER_TOLERANCE[self._model.dtype]
        if off := [each for each in itertools.starmap(_difference, pairs) if not each <= tolerance]:  # NaN is off
            raise NotUnderstood(f"padded or after a shared prefix it scores otherwise, by {max(off):.2g} of the spread")

    def _at_every_token(self, texts: Sequence[Tokens], tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits of each text padded, and of the first without its last token, beside those of each alone."""
        alone = [self._logits([text], tokens)[0] for text in texts]
        padded = self._logits(texts, tokens)
        pairs = [(whole[: len(each)], each) for whole, each in zip(padded, alone, strict=True)]
        shorter = self._logits([texts[0][:-1] or texts[0]], tokens)[0]  # of a single token there is none
        return [*pairs, (shorter, alone[0][: len(shorter)])]

    def _picks_among_labels(self, prompts: Prompts) -> bool:
        """Whether the model picks along the length of rows that hold several labels, which no text is as long as."""
        if self._decoder is None or not self._decoder.branches:
            return False
        together = gather(prompts, range(len(prompts.queries)), branches=True)
        if together.branches is None:
            return False
        with PickedKeys() as picked:
            _score_by_blocks(self._model, self._decoder, prompts)
        return len(prompts.prefix) + together.width in picked.lengths

    def _picks_along(self, text: Tokens, tokens: Tensor) -> bool:
        """Whether the model picks along a text's length; asked again, as there may be as many experts to pick from."""
        with PickedKeys() as picked:
            self._logits([text], tokens)
        return len(text) in picked.lengths

    def _logits(self, texts: Sequence[Tokens], tokens: Tensor) -> Tensor:
        """Logits of some tokens at every position, shape ``(texts, positions, tokens)``, float32; one is not padded."""
        ids, mask = pad(texts, 0, self._model.device)
        if stretches(self._model):
            self._model(ids[:1, :1])  # transformers keeps the scale of the longest text until a short one comes
        with head_rows(self._model, tokens):
            logits: Tensor = self._model(ids, attention_mask=mask if len(texts) > 1 else None).logits
        return logits.float()


def _difference(logits: Tensor, expected: Tensor) -> float:
    """How far logits ``(positions, tokens)`` are off, up to a constant: root mean squares, as a share of the spread."""
    if not len(expected):
        return 0.0
    logits, expected = (each - each.mean(dim=1, keepdim=True) for each in (logits, expected))
    off, spread = (float(each.square().mean().sqrt()) for each in (logits - expected, expected))
    return off / spread if spread else off


def _sample(prompts: Prompts, count: int) -> Prompts:
    """A few of the prompts, from the longest to the shortest, by what the model reads of them."""
    by_length = sorted(prompts.queries, key=prompts.length, reverse=True)
    last = len(by_length) - 1
    places = dict.fromkeys(round(number * last / max(1, count - 1)) for number in range(count))
    return replace(prompts, queries=tuple(by_length[place] for place in places), cuts=(), rows=None)


def _with_labels(prompts: Prompts, vocabulary_size: int) -> Prompts:
    """The longest text of each query, with single-token labels from all over the vocabulary."""
    labels = tuple((token,) for token in range(0, vocabulary_size, -(-vocabulary_size // TRIED_TOKENS)))
    texts = (max(prompts.sequences(query), key=len) for query in prompts.queries)
    queries = tuple(Query(tokens=text, labels=labels, gold=0) for text in texts)
    return Prompts(prefix=prompts.prefix, queries=queries)


def stretches(model: PreTrainedModel) -> bool:
    """Whether rotary positions scale with the length of the text, from some length on."""
    return stretch_limit(model.config.get_text_config()) is not None


def stretch_limit(config: Any) -> int | None:
    """Longest prompt whose rotary positions do not depend on its length; None where there is no limit."""
    parameters = getattr(config, "rope_parameters", None) or {}
    by_kind_of_layer = [each for each in parameters.values() if isinstance(each, dict)]
    settings = by_kind_of_layer or [parameters]
    if not any(each.get("rope_type") in STRETCHING for each in settings):
        return None
    stated = [each.get(TRAINED_LENGTH) for each in settings]
    stated += [getattr(config, name, None) for name in (TRAINED_LENGTH, "max_position_embeddings")]
    return min((limit for limit in stated if limit), default=0)
