"""How many blocks a clip changes, by hand."""

from __future__ import annotations

from clipsweep.analysis.theory.changes import changes_of
from clipsweep.analysis.theory.reach import Reach, reach_of
from clipsweep.trials.spec.clip import Clip
from tests.analysis.theory.studies import clip_at, norms_of, theory_row

ANSWERS = (True, False)


def reach_with(*trials: tuple[Clip, list[float | None]]) -> tuple[Reach, ...]:
    rows = {"base": theory_row("base", norms=norms_of([0.0] * 4), outcomes=ANSWERS)}
    for number, (clip, logs) in enumerate(trials):
        rows[str(number)] = theory_row(str(number), [clip], norms_of(logs), outcomes=ANSWERS)
    return reach_of(changes_of(rows))


def test_a_clip_of_attention_reaches_its_own_block_and_all_behind_it() -> None:
    (one,) = reach_with((clip_at(1, "attn"), [0.0, -0.5, 0.25, 0.1]))
    assert (one.paper, one.expected, one.changed, one.before) == (3, 3, 3, 0)  # k = 2 of L = 4: L - k + 1 = 3
    assert one.sizes == (0.5, 0.25, 0.1)


def test_a_clip_of_the_mlp_reaches_the_blocks_behind_it_alone() -> None:
    (one,) = reach_with((clip_at(1, "mlp"), [0.0, 0.0, 0.25, 0.1]))
    assert (one.paper, one.expected, one.changed, one.before) == (3, 2, 2, 0)
    assert one.sizes == (0.0, 0.25, 0.1)


def test_trials_of_one_layer_and_module_are_told_by_their_median() -> None:
    (one,) = reach_with(
        (clip_at(2, "attn", 0.1), [0.0, 0.0, -0.1, 0.0]),
        (clip_at(2, "attn", 0.5), [0.0, 0.0, -0.2, 0.4]),
        (clip_at(2, "attn", 0.9), [0.0, 0.0, -0.9, 0.6]),
    )
    assert (one.n_trials, one.least, one.changed, one.most) == (3, 1, 2, 2)
    assert one.sizes == (0.2, 0.4)


def test_a_block_before_the_clip_that_changes_is_told() -> None:
    (one,) = reach_with((clip_at(2, "attn"), [0.3, 0.0, -0.1, 0.0]))
    assert (one.before, one.changed) == (1, 1)


def test_blocks_that_were_not_measured_are_not_expected() -> None:
    (one,) = reach_with((clip_at(1, "attn"), [0.0, -0.5, None, 0.1]))
    assert (one.paper, one.expected, one.changed) == (2, 2, 2)
    assert one.sizes == (0.5, None, 0.1)


def test_modules_and_layers_are_apart() -> None:
    found = reach_with((clip_at(3, "mlp"), [0.0] * 4), (clip_at(0, "mlp"), [0.0] * 4), (clip_at(1, "attn"), [0.0] * 4))
    assert [(each.module, each.layer) for each in found] == [("attn", 1), ("mlp", 0), ("mlp", 3)]
