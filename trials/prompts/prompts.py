"""Prompts as tokens: the prefix that all queries share, each query, and the tokens of each label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.kinds import Texts

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One example, tokenised.

    Attributes:
        tokens: The prompt after the shared prefix; at least one token, but where all that precedes answers is unscored.
        labels: Tokens of each label after the prompt; each at least one, but where the mean of logits is scored.
        gold: Index of the right label; 0 where there is one label alone.
        lengths: What the log-likelihood of each label is divided by, in ``Scoring.LENGTH_NORMALISED``; None elsewhere.
        unscored: How many leading tokens of each label are part of the prompt and not scored; None for none. So
            labels may differ in what stands before the answer.
    """

    tokens: Tokens
    labels: tuple[Tokens, ...]
    gold: int
    lengths: tuple[float, ...] | None = None
    unscored: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """One split of a task with its demonstrations, tokenised.

    Attributes:
        prefix: Longest common prefix of all prompts, in tokens; may be empty, and is where every position is scored.
        queries: One for each row, in the split's order.
        scoring: How labels are scored.
        demonstrations: How many are in the prompt, which may be fewer than asked for.
        cuts: Numbers of queries, ascending, after which a microbatch ends: where the split's ladder cuts it.
        rows: Number of the first query that is evaluated, and of the one after the last; None for all. The others stay:
            how the model may run, and which queries run together, is told by all of them.
        normalised: Whether log-likelihoods are over the whole vocabulary also where all labels are single tokens; else
            those are compared by their logits, which differ by a constant of the query. Scorings that need it imply it.
        whole_labels: Whether the last token of each label is read too where some label has several. Its logits say
            nothing, but where rotary positions depend on the length of the text, a text without it is another text.
        own_demonstrations: Whether each row has demonstrations of its own, so that the prefix is but what they
            happen to have in common.
        classes: Whether all rows of the task have the same answers, so that the number of a label stands for a class.
        texts: Gives the tokens of other texts that belong to these prompts, each whole, to clips that depend on what
            the untouched model makes of them; None where there are none.
    """

    prefix: Tokens
    queries: tuple[Query, ...]
    scoring: Scoring = Scoring.LOGLIKELIHOOD
    demonstrations: int = 0
    cuts: tuple[int, ...] = ()
    rows: tuple[int, int] | None = None
    normalised: bool = False
    whole_labels: bool = False
    own_demonstrations: bool = False
    classes: bool = True
    texts: Callable[[Texts], tuple[Tokens, ...]] | None = field(default=None, compare=False, repr=False)

    def sequences(self, query: Query) -> tuple[Tokens, ...]:
        """What the model must read to score every label: the prompt alone where all labels are single tokens."""
        if self.scoring is not Scoring.MEAN_LOGIT and all(len(label) == 1 for label in query.labels):
            return (query.tokens,)
        if self.scoring is Scoring.MEAN_LOGIT or self.whole_labels:
            return tuple(query.tokens + label for label in query.labels)
        return tuple(query.tokens + label[:-1] for label in query.labels)

    @property
    def whole_vocabulary(self) -> bool:
        """Whether every score is told from the logits of the whole vocabulary."""
        return self.normalised or self.scoring in (Scoring.LENGTH_NORMALISED, Scoring.GREEDY, Scoring.TEXT)

    @property
    def most_labels(self) -> int:
        """Labels of the query that has the most."""
        return max(len(query.labels) for query in self.queries)

    def part(self, start: int, stop: int) -> Prompts:
        """The same prompts, of which the queries from ``start`` to before ``stop`` alone are evaluated."""
        return replace(self, rows=(start, stop))

    @property
    def whole(self) -> int:
        """The same number for a split and all its parts, as long as one of them is held; other prompts have others."""
        return id(self.queries)

    @property
    def evaluated(self) -> range:
        """Numbers of the queries that are evaluated."""
        return range(*self.rows or (0, len(self.queries)))

    @property
    def goes_on(self) -> bool:
        """Whether this is a part of a split, and not its last: a race may come back for the next."""
        return self.rows is not None and self.evaluated.stop < len(self.queries)

    def length(self, query: Query) -> int:
        """Tokens of the longest sequence that the model reads for a query."""
        return len(self.prefix) + max(map(len, self.sequences(query)))

    def longest(self) -> int:
        """Tokens of the longest sequence that the model reads for any query."""
        return max(map(self.length, self.queries))
