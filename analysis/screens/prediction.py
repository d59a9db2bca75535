"""From predicted changes of margins to predicted gains: how many answers a clip turns right, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.winners.smoothing import BANDWIDTH, smooth
from clipsweep.trials.screen.screened import Screened


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a screen expects of a point.

    Attributes:
        gain: In accuracy over the untouched model, as a fraction.
        gain_error: Its standard error, over the rows that were screened.
        margin_change: Mean change of the margin, natural log.
        margin_error: Its standard error.
        margin_size: Root mean square of its changes over the rows.
    """

    gain: float
    gain_error: float
    margin_change: float
    margin_error: float
    margin_size: float


def predict(screened: Screened, clips: Sequence[NDArray[np.float64]]) -> Prediction:
    """Predict what clips do together, from what each does to the margins.

    The changes add up. Margins before and after are softened alike: by the bandwidth of smoothed accuracies, and by
    noise as large as the changes themselves, the root mean square of each clip's, for in first order a prediction is
    off by about as much as it moves. So a clip that turns everything upside down is expected to gain little.

    Args:
        screened: The rows.
        clips: Predicted change of each row's margin by each clip, each of shape ``(rows,)``.
    """
    margins = screened.margins.astype(np.float64)
    change = np.sum(clips, axis=0) if clips else np.zeros_like(margins)
    noise = math.sqrt((BANDWIDTH * margins.std()) ** 2 + sum(float(np.mean(each**2)) for each in clips))
    gains = smooth(margins + change, noise) - smooth(margins, noise) if noise else np.zeros_like(margins)
    gain, gain_error = mean_with_error(gains, screened.groups)
    margin_change, margin_error = mean_with_error(change, screened.groups)
    return Prediction(
        gain=gain,
        gain_error=gain_error,
        margin_change=margin_change,
        margin_error=margin_error,
        margin_size=math.sqrt(float(np.mean(change**2))),
    )


def average(predictions: Sequence[Prediction]) -> Prediction:
    """The mean of predictions for the same clips under other demonstrations."""
    count = len(predictions)
    return Prediction(
        gain=sum(each.gain for each in predictions) / count,
        gain_error=math.hypot(*(each.gain_error for each in predictions)) / count,
        margin_change=sum(each.margin_change for each in predictions) / count,
        margin_error=math.hypot(*(each.margin_error for each in predictions)) / count,
        margin_size=sum(each.margin_size for each in predictions) / count,
    )


def mean_with_error(values: NDArray[np.float64], groups: Sequence[int]) -> tuple[float, float]:
    """Mean of values and its standard error, where those of a group may vary together.

    Where each value is a group of its own, the error is their standard deviation over the root of their number.

    Source:
        The cluster-robust variance of a mean, as in Liang and Zeger (1986), Biometrika 73, 13-22.
    """
    mean = float(values.mean())
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=values - mean)
    count = len(sums)
    if count < 2:
        return mean, math.inf
    return mean, math.sqrt(float((sums**2).sum()) * count / (count - 1)) / len(values)
