"""The slow way, as the paper describes it: clip the weights in place, then run each prompt alone.

Where a matrix lies in its parameter is written down here by hand, from the architectures' own code, and owes nothing to
``clipsweep.trials.models.find_layout``.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip

QKV, GATE_UP = ("q", "k", "v"), ("gate", "up")
NAMES: dict[str, tuple[str, ...]] = {
    "q_proj": ("q",),
    "k_proj": ("k",),
    "v_proj": ("v",),
    **dict.fromkeys(("o_proj", "out_proj", "dense", "attn.c_proj"), ("o",)),
    **dict.fromkeys(("c_attn", "query_key_value", "qkv_proj"), QKV),
    "gate_proj": ("gate",),
    "up_proj": ("up",),
    "gate_up_proj": GATE_UP,
    "down_proj": ("down",),
    **dict.fromkeys(("fc_in", "fc1", "c_fc", "dense_h_to_4h"), ("fc_in",)),
    **dict.fromkeys(("fc_out", "fc2", "mlp.c_proj", "dense_4h_to_h"), ("fc_out",)),
}
GROUPS = {"attn": {"q", "k", "v", "o"}, "mlp": {"fc_in", "fc_out", "up", "gate", "down"}}
GROUPS["all"] = GROUPS["attn"] | GROUPS["mlp"]
INPUTS_FIRST = {"gpt2", "openai-gpt"}  # their Conv1D holds (inputs, outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneByOne:
    """What running each prompt alone gives.

    Attributes:
        scores: Of each label of each query, as the prompts are scored, shape ``(queries, labels)``, float32; minus
            infinity where a query has no such label.
        leads: Of the same shape: how far the least sure token of each label is ahead of all others, in logits.
        spread: Standard deviation of the logits, over the vocabulary, that these were computed from.
    """

    scores: Tensor
    leads: Tensor
    spread: float


def edit_in_place(model: PreTrainedModel, clips: Sequence[Clip]) -> PreTrainedModel:
    """A copy of the model whose clipped matrices are replaced by their truncated SVD."""
    edited = copy.deepcopy(model)
    for clip in clips:
        for _, role, weight, rows in matrices_of(edited, clip.layer):
            if role in roles_of(clip):
                u, s, vh = torch.linalg.svd(weight[rows].float(), full_matrices=False)
                rank = kept_rank(clip.clip_rate, len(rows), weight.shape[1])
                if rank < len(s):
                    weight[rows] = (u[:, :rank] @ torch.diag(s[:rank]) @ vh[:rank]).to(weight.dtype)
    return edited


def marked(model: PreTrainedModel, layer: int, role: str) -> dict[str, Tensor]:
    """For each parameter, which of its entries belong to matrices of a role in a block."""
    blank = copy.deepcopy(model)
    for parameter in blank.parameters():
        parameter.zero_()
    for _, held, weight, rows in matrices_of(blank, layer):
        if held == role:
            weight[rows] = 1
    return {name: parameter == 1 for name, parameter in blank.named_parameters()}


def roles_of(clip: Clip) -> set[str]:
    """The roles that a clip names."""
    return GROUPS.get(clip.module, {clip.module})


def matrices_of(model: PreTrainedModel, layer: int) -> Iterator[tuple[str, str, Tensor, list[int]]]:
    """Every matrix of a block: its parameter, its role, the weight that it is in (a view, outputs first), its rows."""
    for name, parameter in model.named_parameters():
        path = name.removesuffix(".weight").split(".")
        roles = NAMES.get(path[-1]) or NAMES.get(".".join(path[-2:])) or ()
        if str(layer) not in path or not roles:
            continue
        stored = parameter.data.T if model.config.model_type in INPUTS_FIRST else parameter.data
        for weight in stored if stored.ndim == 3 else (stored,):
            held = _role_of_each_row(roles, len(weight), model.config)
            for role in roles:
                yield name, role, weight, [row for row, each in enumerate(held) if each == role]


def _role_of_each_row(roles: tuple[str, ...], rows: int, config: Any) -> list[str]:
    """For each output of a weight, the role of the matrix that it belongs to."""
    if roles != QKV:
        return [role for role in roles for _ in range(rows // len(roles))]
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    groups = 1  # all queries, then all keys, then all values
    if config.model_type in ("gpt_neox", "bloom"):
        groups = heads  # head by head
    if config.model_type == "falcon" and config.new_decoder_architecture:
        groups = config.num_kv_heads  # the queries that share a key, then that key, then its value
    elif config.model_type == "falcon" and not config.multi_query:
        groups = heads
    queries = heads // groups * size
    keys = (rows // groups - queries) // 2
    return (["q"] * queries + ["k"] * keys + ["v"] * keys) * groups


def run_one_by_one(model: PreTrainedModel, prompts: Prompts) -> OneByOne:
    """Score each label after each whole prompt; one forward pass for each sequence, no cache, no padding."""
    shape = len(prompts.queries), max(len(query.labels) for query in prompts.queries)
    scores, leads = torch.full(shape, -torch.inf), torch.full(shape, -torch.inf)
    logits: list[Tensor] = []
    for number, query in enumerate(prompts.queries):
        runs: dict[tuple[Tokens, Tokens], Tensor] = {}
        for label, tokens in enumerate(query.labels):
            alone = prompts.prefix + query.tokens
            if prompts.scoring is Scoring.MEAN_LOGIT:
                logits.append(_answers(model, (alone + tokens)[:1], (alone + tokens)[1:]))
                scores[number, label] = logits[-1].mean()
                continue
            first = 0 if query.unscored is None else query.unscored[label]
            text = (alone + tokens[:first], tokens[first:-1])
            if text not in runs:
                logits.append(_answers(model, *text))
                runs[text] = logits[-1]
            found = runs[text]
            each = found.log_softmax(dim=-1)[range(len(found)), list(tokens[first:])]
            scores[number, label] = _score(prompts.scoring, query, label, each)
            leads[number, label] = min(map(_lead, found, tokens[first:]))
    return OneByOne(scores=scores, leads=leads, spread=float(torch.cat(logits).std()))


def _score(scoring: Scoring, query: Query, label: int, each: Tensor) -> Tensor:
    """A label's score from the log-likelihoods of its tokens."""
    if scoring is Scoring.MEAN_LOGLIKELIHOOD:
        return each.mean()
    if scoring is Scoring.LENGTH_NORMALISED:
        assert query.lengths is not None
        return each.sum() / query.lengths[label]
    return each.sum()


def _lead(logits: Tensor, token: int) -> float:
    """How far a token is ahead of the best of the others."""
    values: list[float] = logits.tolist()
    return values.pop(token) - max(values)


def score_one_by_one(model: PreTrainedModel, prompts: Prompts) -> Tensor:
    """Score of each label after each whole prompt; see ``run_one_by_one``."""
    return run_one_by_one(model, prompts).scores


def _answers(model: PreTrainedModel, alone: Tokens, given: Tokens) -> Tensor:
    """Logits of what follows a prompt, and of what follows each of the tokens given after it."""
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([alone + given]), use_cache=False).logits
    return logits[0, len(alone) - 1 :].float()


def centred(scores: Tensor) -> Tensor:
    """Scores ``(examples, labels)`` without the constant that labels of one token share."""
    return scores - scores.mean(dim=1, keepdim=True)
