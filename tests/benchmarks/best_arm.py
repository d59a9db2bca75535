"""Best-arm identification on a surface: what the literature finds for as many rows as a race.

Arms are a surface's points; to pull one is to evaluate it on its next validation rows, which come in the same order
for all. Nothing is known of how points lie beside each other, and no row is charged by its cost. A budget is a share of
the rows of the full grid, and the arm chosen is told by what it gains on held-out rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.winners.smoothing import BANDWIDTH, smooth
from tests.benchmarks.document import Line
from tests.benchmarks.surfaces import Surface

BUDGETS = (0.03, 0.05, 0.12)
PULL = 8  # rows that an arm is evaluated on at a time
LEADER = 0.5  # chance that top-two Thompson sampling pulls the leader and not its challenger
DRAWS = 100  # until a challenger comes first

Numbers = NDArray[np.float64]


class Arms:
    """Points, and what is known of each from the rows that it was evaluated on.

    Attributes:
        counts: Rows seen, shape ``(points,)``.
        means: Mean reward over them, 0 before the first.
        variances: Of a row's reward.
        whole: Rows that there are.
    """

    def __init__(self, outcomes: NDArray[np.bool_], margins: NDArray[np.floating] | None, order_seed: int) -> None:
        """Nothing is known.

        Args:
            outcomes: Right or wrong, shape ``(points, rows)``.
            margins: Of that shape, to reward by smoothed accuracy; None to reward right answers.
            order_seed: Of the rows' order.
        """
        order = np.random.default_rng(order_seed).permutation(outcomes.shape[1])
        self._rewards = outcomes[:, order].astype(np.float64)
        self._margins = None if margins is None else margins[:, order].astype(np.float64)
        self.whole = outcomes.shape[1]
        self.counts = np.zeros(len(outcomes), dtype=int)
        self.means = np.zeros(len(outcomes))
        self.variances = np.zeros(len(outcomes))

    def __len__(self) -> int:
        """Number of points."""
        return len(self.counts)

    @property
    def open(self) -> NDArray[np.bool_]:
        """Which have rows left to see."""
        return np.asarray(self.counts < self.whole)

    @property
    def spent(self) -> int:
        """Rows seen in all."""
        return int(self.counts.sum())

    def pull(self, arm: int, rows: int = PULL) -> None:
        """Evaluate a point on its next rows, as far as there are any."""
        self.counts[arm] = min(self.counts[arm] + rows, self.whole)
        rewards = self._seen(arm)
        self.means[arm], self.variances[arm] = rewards.mean(), rewards.var()

    def _seen(self, arm: int) -> Numbers:
        """Rewards of a point so far; margins are smoothed in proportion to their own spread, as a race does."""
        rewards = self._rewards[arm, : self.counts[arm]]
        if self._margins is None or not rewards.size:
            return rewards
        margins = self._margins[arm, : self.counts[arm]]
        spread = float(margins.std())
        return smooth(margins, BANDWIDTH * spread) if spread else rewards

    def best(self) -> int:
        """The first of those with the highest mean."""
        return int(np.argmax(self.means))


Method = Callable[[Arms, int, np.random.Generator], int]


def sequential_halving(arms: Arms, budget: int) -> int:
    """As many rounds as it takes to halve the arms to one, with as many rows each (Karnin, Koren and Somekh, 2013).

    Rows of earlier rounds count too, as they are there.
    """
    left, rounds = np.arange(len(arms)), math.ceil(math.log2(len(arms)))
    for _ in range(rounds):
        rows = budget // (rounds * len(left))
        for arm in left if rows else ():
            arms.pull(int(arm), rows)
        left = left[np.argsort(-arms.means[left], kind="stable")][: math.ceil(len(left) / 2)]
    return int(left[0])


def ucb_e(arms: Arms, budget: int, hardness: float) -> int:
    """Pull where the mean plus ``√(a / rows)`` is highest (Audibert, Bubeck and Munos, 2010).

    ``a`` is what their theorem asks for, ``25/36 · (budget - arms) / hardness``. The hardness, ``Σ 1 / gap²`` over all
    arms, is not known in a search: here it is told, in the method's favour.
    """
    bonus = 25 / 36 * max(budget - len(arms), 0) / hardness
    for arm in range(len(arms)):
        arms.pull(arm)
    while arms.spent + PULL <= budget and arms.open.any():
        bounds = arms.means + np.sqrt(bonus / arms.counts)
        arms.pull(int(np.argmax(np.where(arms.open, bounds, -np.inf))))
    return arms.best()


def top_two_thompson(arms: Arms, budget: int, rng: np.random.Generator) -> int:
    """Pull the arm that is best in a draw of what the arms may be, or the one that is in another (Russo, 2016).

    Beliefs are normal, of the rows seen and one more with a mean of 1/2 and a variance of 1/4, so that they hold for
    smoothed accuracies too. The arm chosen is that of most rows, of equals the one with the higher mean.
    """
    while arms.spent + PULL <= budget and arms.open.any():
        leader = chosen = int(np.argmax(_draw(arms, rng)))
        others = arms.open & (np.arange(len(arms)) != leader)
        if others.any() and (rng.random() >= LEADER or not arms.open[leader]):
            chosen = _challenger(arms, others, rng)
        arms.pull(chosen)
    return int(np.argmax(arms.counts + arms.means / 2))


def _draw(arms: Arms, rng: np.random.Generator) -> Numbers:
    """What the arms may be."""
    rows = arms.counts + 1
    deviations = np.sqrt((arms.counts * arms.variances + 0.25) / rows**2)
    return np.asarray(rng.normal((arms.counts * arms.means + 0.5) / rows, deviations))


def _challenger(arms: Arms, others: NDArray[np.bool_], rng: np.random.Generator) -> int:
    """The arm that is best in the first draw in which one of the others is; after many draws the best of them."""
    for _ in range(DRAWS):
        draw = _draw(arms, rng)
        if others[np.argmax(draw)]:
            break
    return int(np.argmax(np.where(others, draw, -np.inf)))


def hardness_of(scores: Numbers) -> float:
    """Of telling the best arm: ``Σ 1 / gap²`` to the best, whose own gap is that to the second."""
    gaps = np.sort(scores.max() - scores)[1:]
    gaps = np.maximum(gaps, gaps[gaps > 0].min())
    return float(np.sum(gaps**-2.0) + gaps.min() ** -2)


def best_arm_lines(surface: Surface, share_of: Callable[[Surface, int], float], seeds: int) -> Iterator[Line]:
    """Each method at each budget, by accuracy and by smoothed accuracy: shares of the yardstick.

    Args:
        surface: To search.
        share_of: What a point gains as a share of what the full grid's winner gains.
        seeds: Of rows and draws.
    """
    hardness = hardness_of(surface.validation_scores)
    methods: dict[str, Method] = {
        "sequential halving": lambda arms, budget, _: sequential_halving(arms, budget),
        "UCB-E": lambda arms, budget, _: ucb_e(arms, budget, hardness),
        "top-two Thompson sampling": top_two_thompson,
    }
    for name, method in methods.items():
        for by, margins in (("accuracy", None), ("smoothed accuracy", surface.margins)):
            for budget in BUDGETS:
                shares = []
                for seed in range(seeds):
                    arms = Arms(surface.validation, margins, seed)
                    chosen = method(arms, round(budget * surface.validation.size), np.random.default_rng(seed))
                    shares.append(share_of(surface, chosen))
                label = f"{surface.name}: {name} by {by}, {budget} of the rows"
                yield Line(name=f"{label}, share of the yardstick", value=median(shares), unit="")
                good = float(np.mean(np.array(shares) >= 0.9))
                yield Line(name=f"{label}, seeds with a share of 0.9 or more", value=good, unit="")
