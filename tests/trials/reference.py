"""The slow way, as the paper describes it: clip the weights in place, then run each prompt alone."""

import copy
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from trials.prompts import Prompts
from trials.values import Clip

NAMES = {
    "gptj": {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj", "fc_in": "fc_in", "fc_out": "fc_out"},
    "llama": {
        "q": "q_proj",
        "k": "k_proj",
        "v": "v_proj",
        "o": "o_proj",
        "up": "up_proj",
        "gate": "gate_proj",
        "down": "down_proj",
    },
}
GROUPS = {"attn": {"q", "k", "v", "o"}, "mlp": {"fc_in", "fc_out", "up", "gate", "down"}}


def edit_in_place(model: PreTrainedModel, clips: Sequence[Clip]) -> PreTrainedModel:
    """A copy of the model whose clipped matrices are replaced by their truncated SVD."""
    edited = copy.deepcopy(model)
    for clip in clips:
        roles = GROUPS.get(clip.module, GROUPS["attn"] | GROUPS["mlp"] if clip.module == "all" else {clip.module})
        for role, attribute in NAMES[model.config.model_type].items():
            for name, parameter in edited.named_parameters():
                if role in roles and f".{clip.layer}." in name and name.endswith(f"{attribute}.weight"):
                    u, s, vh = torch.linalg.svd(parameter.data.float(), full_matrices=False)
                    rank = clip.kept_rank(*parameter.shape)
                    if rank < len(s):
                        parameter.data.copy_(u[:, :rank] @ torch.diag(s[:rank]) @ vh[:rank])
    return edited


def score_one_by_one(model: PreTrainedModel, prompts: Prompts) -> torch.Tensor:
    """Log-likelihood of each label after each whole prompt; one forward pass for each, no cache, no padding."""
    rows = []
    with torch.no_grad():
        for query in prompts.queries:
            scores = []
            for label in query.labels:
                ids = torch.tensor([[*prompts.prefix, *query.tokens, *label]])
                logprobs = model(ids, use_cache=False).logits[0].float().log_softmax(dim=-1)
                start = ids.shape[1] - len(label) - 1
                scores.append(sum(logprobs[start + offset, token] for offset, token in enumerate(label)))
            rows.append(torch.stack([torch.as_tensor(score) for score in scores]))
    return torch.stack(rows)
