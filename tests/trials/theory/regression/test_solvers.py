import pytest
import torch

from clipsweep.trials.theory.regression.prompts import Prompts, draw_prompts, normalised_errors
from clipsweep.trials.theory.regression.solvers import predict_least_squares


def test_on_one_dimension_one_example_is_enough() -> None:
    prompts = Prompts(x=torch.tensor([[[2.0], [3.0], [4.0]]]), w=torch.tensor([[0.5]]))
    assert predict_least_squares(prompts).tolist() == [[0, 1.5, 2]]
    assert normalised_errors(predict_least_squares(prompts), prompts).tolist() == [[1, 0, 0]]


def test_of_fewer_examples_than_dimensions_the_shortest_map_is_taken() -> None:
    x = torch.tensor([[[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]])  # w·(3, 4) = 50: the shortest w is (6, 8)
    prompts = Prompts(x=x, w=torch.tensor([[10.0, 5.0]]))
    torch.testing.assert_close(predict_least_squares(prompts), torch.tensor([[0.0, 6.0, 5.0]]))


def test_least_squares_errs_by_what_is_not_seen_and_not_at_all_from_d_examples_on() -> None:
    prompts = draw_prompts("test", 0, 4000, n_dims=5, n_examples=8)
    errors = normalised_errors(predict_least_squares(prompts), prompts)
    means, standard_errors = errors.mean(0), errors.std(0) / 4000**0.5
    for seen in range(5):
        assert means[seen].item() == pytest.approx(1 - seen / 5, abs=4.5 * standard_errors[seen].item())
    assert errors[:, 6:].mean() < 1e-6
    assert errors[:, 5].median() < 1e-9  # of five examples a few are nearly dependent
