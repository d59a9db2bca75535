"""The verdict in words."""

from __future__ import annotations

from dataclasses import replace

from clipsweep.analysis.theory.changes import changes_of
from clipsweep.analysis.theory.correlations import Contest, Correlation, Predictions, correlate
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.theory.verdict import describe, headline, verdict
from tests.analysis.theory.studies import planted_study

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


def test_the_theory_beats_the_simplest_where_only_its_quantity_tells_the_gain() -> None:
    found = correlate(changes_of(planted_study(1.0)))
    assert found.against_simplest is not None
    assert found.against_simplest.outcome == 1
    lines = verdict(found)
    assert any("gain more" in line for line in lines)
    assert any("does better than" in line for line in lines)


def test_what_is_not_shown_is_said_to_be_not_shown() -> None:
    contest = Contest(
        theory="sum_delta_w", rival="clip_rate", difference=0.1, by_layer=(-0.2, 0.3), by_example=(0.0, 0.2)
    )
    told = replace(FALLS, quantity="sum_delta_w")
    others = [replace(FALLS, quantity=name, rho=None) for name in QUANTITIES if name != "sum_delta_w"]
    found = Predictions(correlations=(told, *others), against_simplest=contest, against_spectrum=None)
    lines = verdict(found)
    assert lines[-2].startswith("Σ change of log‖ΔW_t‖ is not shown to do better than clip rate, nor worse")
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
    assert "No interval holds 0 also of last change of log‖ΔW_t‖ (-0.20)." in lines


def test_a_study_in_which_nothing_varies_has_nothing_to_tell() -> None:
    found = Predictions(
        correlations=tuple(replace(FALLS, quantity=name, rho=None) for name in QUANTITIES),
        against_simplest=None,
        against_spectrum=None,
    )
    assert verdict(found)[0].startswith("There is nothing to tell")


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
    assert headline(told_of(other)).endswith("gain here; another of its norms goes with it")
    assert headline(told_of(replace(FALLS, rho=None))).startswith("It cannot be told yet")
