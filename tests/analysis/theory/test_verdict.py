"""The verdict in words."""

from __future__ import annotations

from dataclasses import replace

from clipsweep.analysis.theory.changes import changes_of
from clipsweep.analysis.theory.correlations import Contest, Correlation, Predictions, correlate
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.theory.verdict import describe, headline, verdict
from tests.analysis.theory.studies import planted_study, sparse_study

FALLS = Correlation(
    quantity="sum_implicit_gradient",
    module=None,
    n_trials=48,
    n_layers=6,
    rho=-0.31,
    by_layer=(-0.55, -0.02),
    by_example=(-0.36, -0.25),
    margin_rho=-0.4,
)


def test_a_relation_is_told_with_its_intervals_and_its_direction() -> None:
    assert describe(FALLS) == (
        "Σ change of log‖G_t‖: rank correlation -0.31 (by layer -0.55 to -0.02, by example -0.36 to -0.25): trials "
        "whose norms fall more gain more"
    )


def test_the_other_direction_is_told_as_such() -> None:
    assert describe(replace(FALLS, rho=0.31, by_layer=(0.02, 0.55), by_example=(0.25, 0.36))).endswith(
        "trials whose norms fall more gain less"
    )


def test_intervals_that_hold_0_say_nothing() -> None:
    assert describe(replace(FALLS, by_layer=(-0.5, 0.1))).endswith("says nothing: the interval by layer holds 0")
    both = replace(FALLS, by_layer=(-0.5, 0.1), by_example=(-0.4, 0.2))
    assert describe(both).endswith("says nothing: both intervals hold 0")


def test_too_few_layers_say_nothing_and_no_verdict_is_given() -> None:
    two = replace(FALLS, by_layer=None)
    assert describe(two).endswith("says nothing: fewer than 3 layers tell nothing of others")
    assert headline(told_of(two)).startswith("It cannot be told yet")


def test_the_strongest_of_a_group_is_one_that_says_something() -> None:
    found = told(sum_implicit_gradient=-0.3, condition_number=0.5, share_removed=-0.2)
    silent = [replace(each, by_layer=(-0.1, 0.9)) if each.rho == 0.5 else each for each in found.correlations]
    lines = verdict(replace(found, correlations=tuple(silent)))
    assert any(line.startswith("Of what singular values say, share removed") for line in lines)


def test_the_theory_beats_the_simplest_where_only_its_quantity_tells_the_gain() -> None:
    found = correlate(changes_of(planted_study(1.0)))
    assert found.against_simplest is not None
    assert found.against_simplest.outcome == 1
    lines = verdict(found)
    assert any("gain more" in line for line in lines)
    assert any(line.startswith("Beside ") and "does better" in line for line in lines)


def test_what_is_not_shown_is_said_to_be_not_shown() -> None:
    contest = Contest(
        theory="sum_delta_w", rival="clip_rate", difference=0.1, by_layer=(-0.2, 0.3), by_example=(0.0, 0.2)
    )
    told = replace(FALLS, quantity="sum_delta_w")
    others = [replace(FALLS, quantity=name, rho=None) for name in QUANTITIES if name != "sum_delta_w"]
    found = Predictions(correlations=(told, *others), against_simplest=contest, against_spectrum=None)
    lines = verdict(found)
    assert lines[-2].startswith("Beside clip rate, Σ change of log‖ΔW_t‖ is not shown to do better, nor worse")
    assert lines[-1] == "The best predictor of all is Σ change of log‖ΔW_t‖ (-0.31)."


def test_a_relation_against_the_theory_is_said_to_be_against_it() -> None:
    against = replace(FALLS, rho=0.24, by_layer=(0.06, 0.42), by_example=(0.10, 0.37))
    others = [replace(FALLS, quantity=name, rho=None) for name in QUANTITIES if name != FALLS.quantity]
    found = Predictions(correlations=(against, *others), against_simplest=None, against_spectrum=None)
    assert verdict(found)[0].endswith("trials whose norms fall more gain less, against the theory.")


def test_what_else_has_no_interval_that_holds_0_is_named() -> None:
    others = [replace(FALLS, quantity=name, rho=None, by_layer=None, by_example=None) for name in QUANTITIES]
    told = {"sum_delta_w": -0.4, "last_delta_w": -0.2, FALLS.quantity: -0.31}
    known = [replace(FALLS, quantity=name, rho=rho) for name, rho in told.items()]
    kept = [each for each in others if each.quantity not in told]
    lines = verdict(Predictions(correlations=(*known, *kept), against_simplest=None, against_spectrum=None))
    assert "Of others too neither interval holds 0: last change of log‖ΔW_t‖ (-0.20)." in lines


def test_a_study_in_which_nothing_varies_has_nothing_to_tell() -> None:
    found = Predictions(
        correlations=tuple(replace(FALLS, quantity=name, rho=None) for name in QUANTITIES),
        against_simplest=None,
        against_spectrum=None,
    )
    assert verdict(found)[0].startswith("There is nothing to tell")


def test_a_study_in_which_one_trial_alone_turned_an_answer_says_nothing() -> None:
    # as of a small study: eleven trials gain 0, one loses two examples of a hundred
    found = correlate(changes_of(sparse_study((5,), rates=(0.5, 0.9), gaining_trials=1)))
    assert not any(each.says_something for each in found.of_all)
    assert headline(found).startswith("The theory does not predict")
    assert not any("does better" in line or "does worse" in line for line in verdict(found))
    assert verdict(found)[-1].endswith("and even that says nothing: chance alone may do as much.")


def told_of(theory: Correlation, *rivals: Contest) -> Predictions:
    """Predictions where this alone of all quantities has a correlation."""
    others = [replace(FALLS, quantity=name, rho=None) for name in QUANTITIES if name != theory.quantity]
    first, second = [*rivals, None, None][:2]
    return Predictions(correlations=(theory, *others), against_simplest=first, against_spectrum=second)


def test_the_headline_says_whether_the_theory_predicts_and_beats_its_rivals() -> None:
    better = Contest(
        theory=FALLS.quantity, rival="clip_rate", difference=0.1, by_layer=(0.05, 0.3), by_example=(0.01, 0.2)
    )
    worse = replace(better, by_layer=(-0.3, -0.1), by_example=(-0.2, -0.1))
    unclear = replace(better, by_layer=(-0.1, 0.3))
    assert headline(told_of(FALLS, better)).endswith("better than simpler quantities do")
    assert headline(told_of(FALLS, better, worse)).endswith("simpler quantities predict more")
    assert headline(told_of(FALLS, better, unclear)).endswith("not shown to be more than simpler quantities do")


def test_the_headline_says_that_it_does_not_predict_or_the_other_way_round() -> None:
    nothing = replace(FALLS, by_layer=(-0.5, 0.1))
    assert headline(told_of(nothing)) == "The theory does not predict what clips gain here"
    reverse = replace(FALLS, rho=0.31, by_layer=(0.02, 0.55), by_example=(0.25, 0.36))
    assert "the other way round" in headline(told_of(reverse))
    other = replace(FALLS, quantity="last_delta_w")
    assert headline(told_of(other)).endswith("gain here; another of its norms goes with it, as it says")
    assert headline(told_of(replace(FALLS, rho=None))).startswith("It cannot be told yet")


def told(**rho: float) -> Predictions:
    """Predictions where these have correlations that say something, without contests."""
    others = [replace(FALLS, quantity=name, rho=None) for name in QUANTITIES if name not in rho]
    known = [
        replace(FALLS, quantity=name, rho=value, by_layer=(value - 0.01, value + 0.01), by_example=(value, value))
        for name, value in rho.items()
    ]
    return Predictions(correlations=(*known, *others), against_simplest=None, against_spectrum=None)


def test_another_norm_that_goes_against_the_theory_is_said_to_do_so() -> None:
    assert headline(told(last_delta_w=0.7)).endswith("goes with it, but the other way round than it says")


def test_a_norm_that_beats_a_rival_against_the_theory_does_not_speak_for_it() -> None:
    contest = Contest(theory="last_delta_w", rival="layer", difference=0.5, by_layer=(0.3, 0.7), by_example=(0.4, 0.6))
    found = replace(told(sum_implicit_gradient=-0.15, last_delta_w=0.7, layer=0.2), against_simplest=contest)
    assert headline(found) == (
        "The theory predicts something of what clips gain here, not shown to be more than simpler quantities do; "
        "another of its norms goes with it, but the other way round than it says"
    )


def test_the_norm_that_stands_for_the_theory_is_explained_where_another_is_larger() -> None:
    contest = Contest(theory="sum_delta_w", rival="layer", difference=-0.1, by_layer=(-0.3, 0.1), by_example=None)
    found = replace(told(sum_delta_w=-0.1, last_delta_w=0.7, layer=0.2), against_simplest=contest)
    assert any(
        line.startswith("Beside layer, Σ change of log‖ΔW_t‖, the best of its norms that go the theory's way, is not")
        for line in verdict(found)
    )


def test_the_best_predictor_is_named_among_those_that_say_something() -> None:
    found = told(sum_implicit_gradient=-0.3, layer=0.2)
    rates = [replace(each, rho=-0.5) if each.quantity == "clip_rate" else each for each in found.correlations]
    nothing = [replace(each, by_layer=(-0.9, 0.1)) if each.quantity == "clip_rate" else each for each in rates]
    assert verdict(replace(found, correlations=tuple(nothing)))[-1] == (
        "The best predictor of all is Σ change of log‖G_t‖ (-0.30); "
        "clip rate (-0.50) is farther from 0, but says nothing."
    )


def test_where_nothing_says_something_the_best_says_nothing_either() -> None:
    found = told(sum_implicit_gradient=-0.1, layer=0.2)
    nothing = tuple(replace(each, by_layer=(-0.5, 0.5)) for each in found.correlations)
    assert verdict(replace(found, correlations=nothing))[-1].startswith(
        "The best predictor of all is layer (+0.20), and even that says nothing"
    )
