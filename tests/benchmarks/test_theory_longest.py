"""Which tokens the norm in feature space is of."""

import json
from math import exp
from pathlib import Path

import pytest
import torch

from clipsweep.trials.theory.softmax import log_norm_of_softmax
from tests.benchmarks.theory_longest import shares
from tests.documents import DOCS

RESULTS = Path(__file__).parent / "results" / "theory_longest.json"


def test_the_shares_are_those_worked_out_by_hand() -> None:
    # Head 0: keys -1 and 1 less their mean, values 3 and 1: diagonal 9 e and e, off it 2 · 3 / e. Head 1: keys 0 and 0,
    # values 1 and 0: 1. Both keys of head 0 are equally long, and the first is taken.
    keys = torch.tensor([[[0.0], [2.0]], [[5.0], [5.0]]])
    values = torch.tensor([[[3.0], [1.0]], [[1.0], [0.0]]])
    first, whole = 10 * exp(1) + 6 * exp(-1), 10 * exp(1) + 6 * exp(-1) + 1
    assert list(shares(keys, values, torch.ones(1, 2), 1.0).values()) == [
        pytest.approx(100 * (10 * exp(1) + 1) / whole),
        pytest.approx(100 * first / whole),
        pytest.approx(100 * 9 * exp(1) / first),
    ]
    assert float(log_norm_of_softmax(keys, values, torch.ones(2, 1, 1), 1.0).mul(2).exp()) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("model", "what", "sentence"),
    [
        ("embedded", "the diagonal", "they are {low} % of the square in each block of the embedded model"),
        ("gptj-prompts-5m", "the diagonal", "and {low} to {high} % on `gptj-prompts-5m`"),
        ("embedded", "its largest head", "one head has {low} to {high} % of the square"),
        ("embedded", "its longest key", "its longest key alone {low} to {high} % of that"),
        ("gptj-prompts-5m", "its largest head", "`gptj-prompts-5m` one head has {low} to {high} % too"),
        ("gptj-prompts-5m", "its longest key", "its longest key {low} to {high} % of that"),
    ],
)
def test_the_page_says_what_was_measured(model: str, what: str, sentence: str) -> None:
    lines = json.loads(RESULTS.read_text(encoding="utf-8"))["lines"]
    found = [each["value"] for each in lines if each["name"].startswith(model) and each["name"].endswith(what)]
    page = " ".join((DOCS / "theory.md").read_text(encoding="utf-8").split())
    assert sentence.format(low=round(min(found)), high=round(max(found))) in page
