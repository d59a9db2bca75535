"""Whether the paper's theory, or anything simpler, tells which clips of the stored surfaces help.

    python -m tests.benchmarks.theory_predicts [NAME ...]

measures the norms of every point of a surface, by its prefix alone, and the singular values of its model. What a point
gains is its accuracy on the held-out rows less the untouched model's. Surfaces without demonstrations have no implicit
updates. Some minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from clipsweep.analysis.row.packing import pack_outcomes
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.spectra.columns import spectrum_record
from clipsweep.analysis.theory.clipped_matrices import ClippedMatrices
from clipsweep.analysis.theory.correlations import Contest, Correlation
from clipsweep.analysis.theory.quantities import MAIN, NORMS, QUANTITIES
from clipsweep.analysis.theory.theory import Theory, measure_theory
from clipsweep.orchestrator.space.candidates import Predict
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.study.names import HALVING, NEIGHBOURS
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import VALIDATION
from tests.benchmarks.document import Line, print_document, tell
from tests.benchmarks.replay import bayes, replay, space_of
from tests.benchmarks.screened import StoredScreens, load_screens, predicted_gains, share_in_front
from tests.benchmarks.search import NEIGHBOURS_SHARE, RACED_SHARE, SEEDS, share_of, trials_of
from tests.benchmarks.surfaces import Surface, load_surface, stored_names

POINTS_AT_ONCE = 12
GAIN_OF_A_DEVIATION = 0.02


def theory_of(surface: Surface) -> Theory:
    """The theory of a surface's points, with their held-out rows as those of a study."""
    import torch

    from clipsweep.trials.base.files import default_cache
    from clipsweep.trials.clips.measure_spectrum import measure_spectrum
    from tests.benchmarks.surface_making import RECIPES, Bench

    torch.set_num_threads(1)
    bench = Bench.load(RECIPES[surface.name], default_cache(), theory=True)
    prompts = bench.prompts[VALIDATION]
    one = replace(prompts, queries=prompts.queries[:1], cuts=())
    norms: list[ImplicitNorms] = []
    for first in range(0, len(surface.points), POINTS_AT_ONCE):
        points = surface.points[first : first + POINTS_AT_ONCE]
        for scored in bench.engine.score_all(one, [resolve(clips, bench.card) for clips in points], 1):
            assert isinstance(scored, LabelScores), "no point of a surface fails"
            assert scored.implicit is not None, "the surface has demonstrations"
            norms.append(scored.implicit)
    places = sorted(bench.card.shapes)
    engine = bench.engine
    spectra = measure_spectrum(engine.loaded.model, engine.layout, places, engine.factors)
    rows = {str(number): _row(surface, number, found) for number, found in enumerate(norms)}
    return measure_theory(
        rows,
        study=surface.name,
        metric="accuracy",
        untouched={"0"},
        matrices=ClippedMatrices(map(spectrum_record, spectra), places),
    )


def _row(surface: Surface, number: int, norms: ImplicitNorms) -> StoredRow:
    """A point as the row of a study whose validation rows are the held-out ones."""
    outcomes = surface.held_out[number]
    record: dict[str, Any] = {
        "trial_id": str(number),
        "split": VALIDATION,
        "state": TrialState.COMPLETE.value,
        "task": surface.task,
        "shots": surface.axes.shots,
        "demo_seed": surface.axes.demo_seed,
        "clips": [
            {"layer": clip.layer, "module": clip.module, "clip_rate": clip.clip_rate, "kind": clip.kind}
            | {"options": clip.options}
            for clip in surface.points[number]
        ],
        "n_examples": len(outcomes),
        "accuracy": float(outcomes.mean()),
        "outcomes": pack_outcomes(outcomes.tolist()),
        "margins": None,
        "seconds": float(surface.seconds[number]),
        "theory_seconds": norms.seconds,
        "log_delta_w": list(norms.delta_w),
        "log_delta_w_softmax": list(norms.delta_w_softmax),
        "log_implicit_gradient": list(norms.implicit_gradient),
    }
    return StoredRow.of(record)


def lines_of(surface: Surface) -> Iterator[Line]:
    """The rank correlation of every quantity with the held-out gain, with both intervals, and of a screen."""
    theory = theory_of(surface)
    for found in theory.predictions.of_all:
        yield from _told(surface.name, found)
    for norm in NORMS:
        fallen = [-(found.quantities[f"sum_{norm}"] or 0.0) for found in theory.changes.trials]
        held = share_in_front(surface, np.array([0.0, *fallen]))
        yield Line(name=f"{surface.name}: of the gain in the quarter where {norm} falls most", value=held, unit="")
    for what, contest in (
        ("the simplest", theory.predictions.against_simplest),
        ("singular values", theory.predictions.against_spectrum),
    ):
        if contest is not None:
            yield from _compared(surface.name, what, contest)
    yield from prior_lines(surface, theory)
    screens = load_screens(surface)
    if screens is not None:
        ranks = [
            spearmanr(predicted_gains(surface, each)[1:], surface.values[1:])[0]
            for each in map(screens.__getitem__, range(len(screens)))
        ]
        yield Line(name=f"{surface.name}: a screen, median of {len(ranks)}", value=float(np.median(ranks)), unit="")


def prior_lines(surface: Surface, theory: Theory) -> Iterator[Line]:
    """What a search finds that begins where norms fall most, beside one that knows nothing and one with a screen.

    The prediction is the fall of the theory's own number in standard deviations, each taken for
    ``GAIN_OF_A_DEVIATION``.
    """
    fallen = np.array([-(each.quantities[MAIN] or 0.0) for each in theory.changes.trials])
    gains = GAIN_OF_A_DEVIATION * np.concatenate([[0.0], (fallen - fallen.mean()) / fallen.std()])

    def predict(choice: Choice) -> float | None:
        return float(gains[surface.index_of(choice.clips)])

    make = bayes(space_of(surface))
    known: dict[str, tuple[Predict | None, StoredScreens | None]] = {
        "nothing": (None, None),
        "where norms fall most": (predict, None),
        "a screen": (None, load_screens(surface)),
    }
    for race, sampler, share in ((HALVING, "tpe", RACED_SHARE), (NEIGHBOURS, "neighbours", NEIGHBOURS_SHARE)):
        search: dict[str, Any] = {"sampler": sampler, "race": race, "n_trials": trials_of(surface, share)}
        for what, (by_theory, screens) in known.items():
            found = [
                replay(surface, make, seed, predict=by_theory, screens=screens, driver="bayes", seed=seed, **search)
                for seed in range(SEEDS)
            ]
            shares = np.array([share_of(surface, each.winner) for each in found])
            label = f"{surface.name}: bayes ({sampler}) + {race} that knows {what}"
            yield Line(name=f"{label}, share of the grid's gain, mean", value=float(shares.mean()), unit="")
            yield Line(name=f"{label}, seeds with 0.9 of it", value=float(np.mean(shares >= 0.9)), unit="")
            rows = float(np.median([each.rows_share(surface) for each in found]))
            yield Line(name=f"{label}, rows", value=rows, unit="")


def _told(name: str, found: Correlation) -> Iterator[Line]:
    label = f"{name}: {QUANTITIES[found.quantity].label}"
    if found.rho is None:
        return
    yield Line(name=label, value=found.rho, unit="")
    for how, interval in (("by layer", found.by_layer), ("by example", found.by_example)):
        if interval is not None:
            yield Line(name=f"{label}, {how}, from", value=interval[0], unit="")
            yield Line(name=f"{label}, {how}, to", value=interval[1], unit="")


def _compared(name: str, what: str, contest: Contest) -> Iterator[Line]:
    theory, rival = QUANTITIES[contest.theory].label, QUANTITIES[contest.rival].label
    label = f"{name}: |ρ| of {theory} less that of {rival}, the best of {what}"
    yield Line(name=label, value=contest.difference, unit="")
    if contest.by_layer is not None:
        yield Line(name=f"{label}, by layer, from", value=contest.by_layer[0], unit="")
        yield Line(name=f"{label}, by layer, to", value=contest.by_layer[1], unit="")


def measure(names: Sequence[str]) -> list[Line]:
    """The figures of these surfaces; without a name of all that have demonstrations."""
    surfaces = [load_surface(name) for name in names or stored_names()]
    return [line for surface in surfaces if surface.axes.shots for line in tell(list(lines_of(surface)))]


if __name__ == "__main__":
    print_document(lambda: measure(sys.argv[1:]))
