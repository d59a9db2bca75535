from typing import Any

import pytest
import torch

from clipsweep.trials.decoder.block_outputs import Form, learn_forms, output_of
from clipsweep.trials.decoder.unsupported import NotUnderstood
from tests.trials.architectures import build_model

HIDDEN = torch.ones(1, 2, 3)


@pytest.mark.parametrize("answer", [HIDDEN, (HIDDEN,), (HIDDEN, None, "weights")])
def test_an_answer_in_a_learnt_form_looks_like_the_one_it_was_learnt_from(answer: Any) -> None:
    wrapped = Form.of(answer).wrap(HIDDEN)
    assert type(wrapped) is type(answer)
    assert output_of(wrapped) is HIDDEN
    assert not isinstance(answer, tuple) or len(wrapped) == len(answer)


@pytest.mark.parametrize("answer", [None, (), [HIDDEN], ("weights", HIDDEN)])
def test_an_answer_without_a_hidden_state_is_a_finding(answer: Any) -> None:
    with pytest.raises(NotUnderstood, match="not a hidden state"):
        Form.of(answer)


def test_a_module_that_the_model_does_not_call_is_a_finding() -> None:
    with pytest.raises(NotUnderstood, match="its forward does not call its first block's attention"):
        learn_forms(build_model("gptj"), {"attention": torch.nn.Linear(2, 2)})
