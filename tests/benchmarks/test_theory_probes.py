"""How far fewer probes than the width are off."""

import json
from pathlib import Path

import pytest
import torch

from clipsweep.trials.theory.updates import Update
from tests.benchmarks.theory_probes import Chain
from tests.documents import DOCS

RESULTS = Path(__file__).parent / "results" / "theory_probes.json"


def one_entry(size: float) -> Update:
    """ΔW = size, of one head."""
    return Update(outer=torch.tensor([[size]]), core=torch.ones(1, 1, 1), queries=torch.ones(1, 1))


def test_a_change_is_the_one_worked_out_by_hand() -> None:
    # ΔW = 2 and 3: G = 2 and 3 · (1 + 2) = 9. ΔW = 4 and 3: G = 4 and 3 · 5 = 15. ΔW = 2 and 1: G = 2 and 3.
    chain = Chain(1, 1)
    chain.untouched([one_entry(2), one_entry(3)])
    both = torch.tensor([4 / 2 * 15 / 9, 3 / 9]).log()
    assert chain.change([one_entry(4), one_entry(3)]) == pytest.approx(float(both[0]))
    assert chain.change([one_entry(1)]) == pytest.approx(float(both[1]))
    assert chain.change([]) == 0


@pytest.mark.parametrize(
    ("model", "columns", "row"),
    [
        ("gemma-3-270m", 256, "| 256 | {clips} | {size:.2f} | {rank:.3f} | {farthest:.2f} | {median:.2f} | {sign} |"),
        ("gemma-3-270m", 64, "| 64 | {clips} | {size:.2f} | {rank:.3f} | {farthest:.2f} | {median:.2f} | {sign} |"),
        (
            "gptj-prompts-5m",
            77,
            "| 77, the same share | {clips} | {size:.2f} | {rank:.3f} | {farthest:.2f} | {median:.3f} | {sign} |",
        ),
        (
            "gptj-prompts-5m",
            128,
            "| 128 | {clips} | {size:.2f} | {rank:.3f} | {farthest:.2f} | {median:.3f} | {sign} |",
        ),
    ],
)
def test_the_page_shows_what_was_measured(model: str, columns: int, row: str) -> None:
    lines = json.loads(RESULTS.read_text(encoding="utf-8"))["lines"]
    ((size, clips),) = [
        (line["value"], line["name"].split()[-2]) for line in lines if line["name"].startswith(f"{model}: size")
    ]
    told = [line["value"] for line in lines if line["name"].startswith(f"{model}, {columns} probes")]
    rank, farthest, median, sign = told
    shown = row.format(clips=clips, size=size, rank=rank, farthest=farthest, median=median, sign=int(sign))
    assert shown in (DOCS / "theory.md").read_text(encoding="utf-8")
