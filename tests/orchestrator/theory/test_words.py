"""The table and its notes."""

from __future__ import annotations

from clipsweep.analysis.theory.theory import measure_theory
from clipsweep.orchestrator.theory.words import describe_theory
from tests.analysis.store.rows import changed
from tests.analysis.theory.studies import planted_study


def test_lines_are_no_wider_than_asked_for() -> None:
    words = describe_theory(measure_theory(planted_study(1.0), study="s", metric="accuracy"), 90)
    sentences = words[: words.index("Rank correlation with")].splitlines()
    assert max(map(len, sentences)) <= 90


def test_few_layers_are_noted() -> None:
    words = describe_theory(measure_theory(planted_study(1.0), study="s", metric="accuracy"))
    assert "6 layers are few: intervals by layer are too narrow" in words


def test_another_metric_and_trials_that_were_not_measured_are_noted() -> None:
    rows = planted_study(1.0)
    rows["0-0.1"] = changed(rows["0-0.1"], log_delta_w=None)
    words = describe_theory(measure_theory(rows, study="s", metric="macro_f1"))
    assert "gains are told in accuracy, though the study is judged by macro_f1" in words
    assert "1 clipped trial left out, as they were not measured" in words
