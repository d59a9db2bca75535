import pytest
import torch

from clipsweep.trials.theory.regression.prompts import Prompts, draw_prompts, normalised_errors
from clipsweep.trials.theory.regression.solvers import predict_zero


def draw(purpose: str = "test", seed: int = 0) -> Prompts:
    return draw_prompts(purpose, seed, 4000, n_dims=5, n_examples=10)


def test_entries_of_x_and_w_are_standard_normal_and_independent() -> None:
    prompts = draw()
    for values in (prompts.x.reshape(-1, 5), prompts.w):
        n = len(values)
        assert values.mean(0).abs().max() < 4.5 / n**0.5  # four and a half standard errors
        assert (values.T @ values / n - torch.eye(5)).abs().max() < 4.5 * (2 / n) ** 0.5
        assert (values**4).mean().item() == pytest.approx(3, abs=4.5 * (96 / (5 * n)) ** 0.5)
    cross = torch.einsum("pnd,pe->nde", prompts.x, prompts.w) / len(prompts.w)
    assert cross.abs().max() < 5 / len(prompts.w) ** 0.5


def test_of_a_purpose_and_a_seed_prompts_are_the_same_and_of_others_not() -> None:
    assert torch.equal(draw().x, draw().x)
    assert not torch.equal(draw().x, draw(seed=1).x)
    assert not torch.equal(draw().w, draw(purpose="another").w)


def test_tokens_are_x_and_padded_y_in_turn_up_to_the_query() -> None:
    prompts = Prompts(x=torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), w=torch.tensor([[10.0, 1.0]]))
    assert prompts.tokens().tolist() == [[[1, 2], [12, 0], [3, 4]]]


def test_a_curriculum_leaves_the_last_entries_of_x_zero() -> None:
    prompts = draw_prompts("test", 0, 10, n_dims=5, n_examples=3, active_dims=2)
    assert not prompts.x[..., 2:].any()
    assert (prompts.x[..., :2] != 0).all()


def test_the_error_is_the_square_over_d() -> None:
    prompts = Prompts(x=torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), w=torch.tensor([[10.0, 1.0]]))  # y: 12, 34
    assert normalised_errors(torch.tensor([[10.0, 37.0]]), prompts).tolist() == [[2.0, 4.5]]


def test_always_to_say_zero_has_an_error_of_one() -> None:
    prompts = draw()
    errors = normalised_errors(predict_zero(prompts), prompts)
    spread = ((1 + 2 / 5) * 3 - 1) ** 0.5  # E y^4 = 3 d (d + 2), so the variance of y^2 / d is 3 (d + 2) / d - 1
    assert (errors.mean(0) - 1).abs().max() < 4.5 * spread / 4000**0.5
