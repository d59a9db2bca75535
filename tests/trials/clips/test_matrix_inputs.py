import pytest
import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.matrix_inputs import read_grams
from tests.trials.architectures import build_model

TEXTS = ((5, 6, 7), (8,), (9, 10))


def test_the_first_matrices_read_the_normed_embeddings_of_every_token_of_every_text() -> None:
    model = build_model("llama")
    owner = "model.layers.0.self_attn.q_proj"
    hidden = model.get_input_embeddings()(torch.tensor([token for text in TEXTS for token in text]))
    x = model.model.layers[0].input_layernorm(hidden).double()
    torch.testing.assert_close(read_grams(model, TEXTS, [owner])[owner], x.T @ x)


def test_a_text_is_read_alone() -> None:
    model, owner = build_model("gptj"), "transformer.h.1.mlp.fc_out"
    apart = [read_grams(model, [text], [owner])[owner] for text in TEXTS]
    torch.testing.assert_close(read_grams(model, TEXTS, [owner])[owner], sum(apart))


def test_experts_are_refused_as_they_read_what_a_router_gives_them() -> None:
    owner = "model.layers.0.mlp.experts"
    with pytest.raises(EvaluationError, match="mlp.experts is no linear map"):
        read_grams(build_model("mixtral"), TEXTS, [owner])


def test_a_module_that_is_not_called_is_refused() -> None:
    with pytest.raises(EvaluationError, match="the model does not call lm_head"):
        read_grams(build_model("gptj"), TEXTS, ["lm_head"])
