"""The numbers of the page on costs are those of the cost model, and the page shows them."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.costs import (
    CONFIGS,
    GPUS,
    PAGE,
    RESULTS,
    STUDIES,
    cost_of,
    on_page,
    sustained,
    tables,
    write_stand_in,
)
from tests.conftest import needs_shared


def test_the_page_shows_the_stored_numbers() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert on_page(page).strip() == tables(json.loads(RESULTS.read_text(encoding="utf-8")))
    for gpu in GPUS:
        assert f"{sustained(gpu) / 1e12:.0f} TFLOP/s |" in next(
            line for line in page.splitlines() if f"{gpu} |" in line
        )


@pytest.mark.slow
@needs_shared
def test_the_stored_numbers_are_those_of_the_cost_model(tmp_path: Path, cache: Path) -> None:
    model = write_stand_in(tmp_path / "model", CONFIGS["GPT-J-6B"])
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))["`tables`, COPA"]["GPT-J-6B"]
    assert cost_of(*STUDIES["`tables`, COPA"], model, tmp_path / "study") == pytest.approx(stored)
