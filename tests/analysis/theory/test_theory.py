"""The theory of a study in one value, and as JSON has it."""

from __future__ import annotations

import json
from dataclasses import replace

from clipsweep.analysis.theory.theory import measure_theory
from clipsweep.analysis.theory.verdict import headline, verdict
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import changed
from tests.analysis.theory.studies import clip_at, norms_of, planted_study, sparse_study, theory_row


def test_the_document_has_the_answer_with_all_that_should_be_known_beside_it() -> None:
    rows = planted_study(1.0)
    first = next(name for name in rows if name != "base")
    rows[first] = changed(rows[first], state=TrialState.PRUNED.value)
    rows["bare"] = theory_row("bare", [clip_at(0)], outcomes=[True])
    rows["bare"] = changed(rows["bare"], shots=0)
    alone = norms_of([1.0])
    rows |= {
        "base1": theory_row("base1", norms=alone, outcomes=[True], seed=1),
        "one": theory_row("one", [clip_at(0)], alone, outcomes=[False], seed=1),
    }
    theory = replace(measure_theory(rows, study="s", metric="macro_f1"), so_far=("so far 32 of 40 trials",))
    document = json.loads(json.dumps(theory.document()))
    assert document["headline"] == headline(theory.predictions)
    assert document["verdict"] == verdict(theory.predictions)
    assert document["so_far"] == ["so far 32 of 40 trials"]
    assert document["notes"] == theory.notes
    assert document["notes"][:2] == [
        "so far 32 of 40 trials",
        "gains are told in accuracy, though the study is judged by macro_f1",
    ]
    counts = ("cut_short", "without_demonstrations", "in_small_sets", "unmeasured", "without_untouched")
    assert {name: document[name] for name in counts} == {
        "cut_short": 1,
        "without_demonstrations": 1,
        "in_small_sets": 1,
        "unmeasured": 0,
        "without_untouched": 0,
    }
    assert document["module_condition"] is None


def test_that_a_search_chose_the_points_and_that_few_gained_anything_stands_beside_the_answer() -> None:
    sparse = measure_theory(sparse_study({1}), study="s", metric="accuracy")
    assert any(note.endswith("gains are 0, so that few trials decide the correlations") for note in sparse.notes)
    dense = measure_theory(planted_study(1.0), study="s", metric="accuracy")
    chosen = "a search chose these points by what they gain: all points of its space may be ordered otherwise"
    assert chosen in replace(dense, searched=True).notes
    assert not any("gains are 0" in note or note == chosen for note in dense.notes)
