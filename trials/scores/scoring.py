"""How an answer is scored."""

from __future__ import annotations

from enum import StrEnum


class Scoring(StrEnum):
    """How an answer is scored. Members are added, never removed or renamed: fingerprints hold them.

    ``LOGLIKELIHOOD`` is the sum over the answer's tokens, ``MEAN_LOGLIKELIHOOD`` their mean, ``FIRST_TOKEN`` the
    log-likelihood of one token that the answer's word alone decides, whatever the prompt ends with, and
    ``MEAN_LOGIT`` the mean of all raw logits, every position and every token of the vocabulary, of prompt and answer.
    ``LENGTH_NORMALISED`` is the sum divided by the answer's length, in the unit that the task counts it in. ``GREEDY``
    knows one answer, which is right where each of its tokens is the one that the model likes best. ``TEXT`` knows no
    right and wrong: it is the log-likelihood of every token of a text.
    """

    LOGLIKELIHOOD = "loglikelihood"
    MEAN_LOGLIKELIHOOD = "mean_loglikelihood"
    FIRST_TOKEN = "first_token"
    MEAN_LOGIT = "mean_logit"
    LENGTH_NORMALISED = "length_normalised"
    GREEDY = "greedy"
    TEXT = "text"

    @property
    def tells_probabilities(self) -> bool:
        """Whether the softmax of a row's scores is how likely each of its answers is among them.

        It is not where scores are divided by an answer's length, or are logits; and where there is one answer alone.
        """
        return self in (Scoring.LOGLIKELIHOOD, Scoring.FIRST_TOKEN)
