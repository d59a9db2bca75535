"""A curve of the paper beside a study's points at the same module, layer and rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.analysis.compare.depth import answering_layer
from clipsweep.analysis.compare.difference import Difference, measure_difference
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.winners.scores import mean_score
from clipsweep.trials.spec.clip import Clip

Published = Mapping[str, Any]  # a row of the published numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a curve of the paper was clipped, and where the study is that is shown beside it.

    Attributes:
        study: Name of the study.
        task: Of both.
        module: Of both.
        shots: Demonstrations of the study's prompts.
        model: The paper's model.
        published_layer: Of that model, from 0.
        layer: Of the study's model, from 0.
        matched: How that layer was found, as ``depth`` says.
    """

    study: str
    task: str
    module: str
    shots: int
    model: str
    published_layer: int
    layer: int
    matched: str


@dataclass(frozen=True, kw_only=True)
class RatePair:
    """One clip rate of a curve, in the paper and in the study, on validation.

    Attributes:
        clip_rate: Of both.
        published: The paper's score and baseline.
        scores: The study's accuracy and that of its baseline.
        difference: The study's gain.
    """

    clip_rate: float
    published: tuple[float, float]
    scores: tuple[float, float]
    difference: Difference

    @property
    def published_gain(self) -> float:
        """Of the paper, over its curve's own score at rate 0."""
        return self.published[0] - self.published[1]

    @property
    def within_noise(self) -> bool:
        """Whether the study's gain may be chance."""
        return self.difference.within_noise

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "clip_rate": self.clip_rate,
            "published_score": self.published[0],
            "published_baseline": self.published[1],
            "published_gain": self.published_gain,
            "score": self.scores[0],
            "baseline": self.scores[1],
            "gain": self.difference.estimate,
            "gain_se": self.difference.standard_error,
            "within_noise": self.within_noise,
        }


@dataclass(frozen=True, kw_only=True)
class CurvePair:
    """A curve of the paper beside the study's points at the same rates.

    Attributes:
        site: Where both were clipped.
        rates: Those that both have, ascending.
        won: Whether the study's winner is among them.
    """

    site: Site
    rates: Sequence[RatePair]
    won: bool

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self.site), "winner_is_here": self.won, "rates": [each.document() for each in self.rates]}


def pair_curves(side: Side, published: Iterable[Published]) -> Iterator[CurvePair]:
    """The paper's curves that a study has points beside.

    Args:
        side: The study.
        published: Rows of its task on validation.
    """
    by_curve: dict[tuple[str, str, int], list[Published]] = {}
    for row in published:
        by_curve.setdefault((row["model"], row["module"], row["layer"]), []).append(row)
    for (model, module, published_layer), rows in by_curve.items():
        answering = answering_layer(published_layer, rows[0]["n_layers"], side.n_layers)
        if answering is None:
            continue
        layer, matched = answering
        for shots in side.shots:
            site = Site(
                study=side.name,
                task=side.task,
                module=module,
                shots=shots,
                model=model,
                published_layer=published_layer,
                layer=layer,
                matched=matched,
            )
            rates = [pair for row in rows if (pair := _rate(side, site, row)) is not None]
            if any(rate.clip_rate for rate in rates):
                yield CurvePair(site=site, rates=rates, won=_wins(side, site, rates))


def _clips(site: Site, clip_rate: float) -> tuple[Clip, ...]:
    return (Clip(layer=site.layer, module=site.module, clip_rate=clip_rate),) if clip_rate else ()


def _rate(side: Side, site: Site, row: Published) -> RatePair | None:
    """One rate of a curve; None where the study has no complete point there."""
    point = side.points.get((site.shots, _clips(site, row["clip_rate"])))
    if point is None:
        return None
    scores = [mean_score(each, side.rows, "accuracy") for each in (point.trial_ids, point.baseline_ids)]
    if scores[0] is None or scores[1] is None:
        return None
    ours = [side.rows[trial_id] for trial_id in point.trial_ids]
    untouched = [side.rows[trial_id] for trial_id in point.baseline_ids]
    return RatePair(
        clip_rate=row["clip_rate"],
        published=(row["score"], row["baseline"]),
        scores=(scores[0], scores[1]),
        difference=measure_difference(untouched, ours, same_rows=True),
    )


def _wins(side: Side, site: Site, rates: Iterable[RatePair]) -> bool:
    winner = side.standings.winner
    if winner is None or winner.point.shots != site.shots:
        return False
    return any(rate.clip_rate and winner.point.clips == _clips(site, rate.clip_rate) for rate in rates)
