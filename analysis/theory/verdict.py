"""What the correlations of a study say, in plain sentences: whether the theory predicts what trials gain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from clipsweep.analysis.theory.correlations import Contest, Correlation, Predictions, interval_words
from clipsweep.analysis.theory.quantities import LEAST_LAYERS, MAIN, OF_GROUP, OF_NORMS, QUANTITIES, SIMPLEST, SPECTRUM

TOO_EARLY = "It cannot be told yet whether the theory predicts what clips gain"


def verdict(found: Predictions) -> list[str]:
    """The answer in sentences: the theory's own number, the best of each group, and the theory against its rivals."""
    by_name = {each.quantity: each for each in found.of_all}
    best = _best(by_name, OF_NORMS)
    if best is None:
        return ["There is nothing to tell: neither the theory's quantities nor what trials gain vary enough."]
    told = [by_name[MAIN], best]
    others = [_best(by_name, OF_GROUP[group]) for group in (SPECTRUM, SIMPLEST)]
    told += [each for each in others if each is not None]
    return [
        f"The theory's own number, {describe(by_name[MAIN])}{_beside_theory(by_name[MAIN])}.",
        *([f"The best of its norms, {describe(best)}."] if best.quantity != MAIN else []),
        *_of_others(others),
        *_besides(found, told),
        *(_against(each, best) for each in (found.against_simplest, found.against_spectrum) if each is not None),
        _best_of_all(found),
    ]


def headline(found: Predictions) -> str:
    """The answer in one line: whether the theory's own number tells what clips gain, and whether simpler ones do.

    Contests count where their norm has the theory's sign.
    """
    by_name = {each.quantity: each for each in found.of_all}
    own, best = by_name[MAIN], _best(by_name, OF_NORMS)
    if best is None or best.by_layer is None:
        return TOO_EARLY
    telling = _best(by_name, tuple(name for name in OF_NORMS if by_name[name].says_something))
    if telling is None or own.rho is None or not own.says_something:
        return f"The theory does not predict what clips gain here{_of_another(telling)}"
    if own.rho > 0:
        return "What clips gain here goes with the theory's norms, but the other way round than it says"
    contests = [each for each in (found.against_simplest, found.against_spectrum) if each is not None]
    outcomes = [each.outcome for each in contests if (by_name[each.theory].rho or 0.0) < 0]
    said = {
        1: "The theory predicts what clips gain here, better than simpler quantities do",
        0: "The theory predicts something of what clips gain here, not shown to be more than simpler quantities do",
        -1: "The theory predicts something of what clips gain here, and simpler quantities predict more",
    }[min(outcomes, default=0)]
    return f"{said}{_of_another(telling) if _size(telling) > _size(own) and not _has_its_sign(telling) else ''}"


def _of_another(norm: Correlation | None) -> str:
    """In which direction another norm than the theory's own number goes with what is gained."""
    if norm is None:
        return ""
    way = "as" if _has_its_sign(norm) else "but the other way round than"
    return f"; another of its norms goes with it, {way} it says"


def _has_its_sign(norm: Correlation) -> bool:
    """Whether trials whose norm falls gain, as the theory says."""
    return norm.rho is not None and norm.rho < 0


def _beside_theory(correlation: Correlation) -> str:
    """Whether what a correlation says is what the theory says: that smaller norms let a model gain."""
    if correlation.rho is None or not correlation.says_something:
        return ""
    return ", as the theory says" if _has_its_sign(correlation) else ", against the theory"


def describe(correlation: Correlation) -> str:
    """One correlation: what it is, its intervals, and what it says."""
    label = QUANTITIES[correlation.quantity].label
    if correlation.rho is None:
        return f"{label}: no rank correlation, as it or the gain does not vary, or there are too few trials"
    return f"{label}: {_numbers(correlation)}: {_says(correlation)}"


def _numbers(correlation: Correlation) -> str:
    ends = f"by layer {interval_words(correlation.by_layer)}, by example {interval_words(correlation.by_example)}"
    return f"rank correlation {correlation.rho:+.2f} ({ends})"


def _says(correlation: Correlation) -> str:
    """What is gained where the quantity is larger; nothing where an interval holds 0."""
    named = {"layer": correlation.by_layer, "example": correlation.by_example}
    known = {name: each for name, each in named.items() if each is not None}
    holding = [name for name, (low, high) in known.items() if low <= 0 <= high]
    if not known:
        return "says nothing, as it has no interval"
    if holding:
        which = "both intervals hold 0" if len(holding) == 2 else f"the interval by {holding[0]} holds 0"
        return f"says nothing: {which}"
    if correlation.by_layer is None:
        return f"says nothing: fewer than {LEAST_LAYERS} layers tell nothing of others"
    assert correlation.rho is not None, "what has an interval has a value"
    return _direction(correlation.quantity, correlation.rho)


def _direction(quantity: str, rho: float) -> str:
    more, less = ("more", "less") if rho > 0 else ("less", "more")
    if quantity.startswith(("sum_", "last_")):
        return f"trials whose norms fall more gain {less}"
    if quantity == "blocks_changed":
        return f"trials that change more blocks gain {more}"
    if quantity == "layer":
        return f"deeper clips gain {more}"
    return f"trials where it is larger gain {more}"


def _of_others(others: Iterable[Correlation | None]) -> Iterator[str]:
    """The best of the other groups."""
    for each in others:
        if each is not None:
            group = "what singular values say" if each.quantity in OF_GROUP[SPECTRUM] else "the simplest"
            yield f"Of {group}, {describe(each)}."


def _besides(found: Predictions, told: Collection[Correlation]) -> Iterator[str]:
    """What else says something."""
    others = [each for each in found.of_all if each.says_something and each not in told]
    if others:
        named = ", ".join(f"{QUANTITIES[each.quantity].label} ({each.rho:+.2f})" for each in others)
        yield f"Of others too neither interval holds 0: {named}."


def _best_of_all(found: Predictions) -> str:
    """The largest correlation of those that say something; where none does, the largest of all."""
    best = max((each for each in found.of_all if each.rho is not None), key=_size)
    telling = max((each for each in found.of_all if each.says_something), key=_size, default=None)
    if telling is None:
        named, rest = best, ", and even that says nothing: chance alone may do as much"
    elif telling is best:
        named, rest = best, ""
    else:
        named = telling
        rest = f"; {QUANTITIES[best.quantity].label} ({best.rho:+.2f}) is farther from 0, but says nothing"
    return f"The best predictor of all is {QUANTITIES[named.quantity].label} ({named.rho:+.2f}){rest}."


def _against(contest: Contest, best: Correlation) -> str:
    """The theory against a rival: whether it does better, and which of its norms stands for it where not the best."""
    theory, rival = QUANTITIES[contest.theory].label, QUANTITIES[contest.rival].label
    if contest.theory != best.quantity:
        theory = f"{theory}, the best of its norms that go the theory's way,"
    outcome = {
        1: f"Beside {rival}, {theory} does better",
        0: f"Beside {rival}, {theory} is not shown to do better, nor worse",
        -1: f"Beside {rival}, {theory} does worse",
    }[contest.outcome]
    ends = f"by layer {interval_words(contest.by_layer)}, by example {interval_words(contest.by_example)}"
    return f"{outcome}: the absolute correlations differ by {contest.difference:+.2f} ({ends})."


def _best(by_name: Mapping[str, Correlation], names: tuple[str, ...]) -> Correlation | None:
    """The largest of those that say something; where none does, the largest."""
    told = [by_name[name] for name in names if by_name[name].rho is not None]
    return max(told, key=lambda each: (each.says_something, _size(each)), default=None)


def _size(correlation: Correlation) -> float:
    return abs(correlation.rho or 0.0)
