"""How alike points are before any has been evaluated."""

import numpy as np
import pytest

from clipsweep.orchestrator.drivers.neighbours.likeness import SHAPES, USUAL, Likeness, Shape
from clipsweep.trials.spec.clip import Clip


def clip(layer: int = 3, module: str = "mlp", rate: float = 0.9) -> Clip:
    return Clip(layer=layer, module=module, clip_rate=rate)


def alike(*points: tuple[Clip, ...]) -> list[float]:
    """How alike the first point is to each of the others."""
    return [float(each) for each in Likeness(points).matrix(USUAL)[0, 1:]]


def test_points_are_the_less_alike_the_further_apart_their_layers_and_rates() -> None:
    near, far = alike((clip(3),), (clip(4),), (clip(7),))
    assert near > far > 0
    close, other = alike((clip(rate=0.9),), (clip(rate=0.85),), (clip(rate=0.5),))
    assert close > other > 0


def test_modules_are_alike_as_far_as_they_share_matrices() -> None:
    part, other = alike((clip(module="mlp"),), (clip(module="fc_in"),), (clip(module="q"),))
    assert part > other


def test_points_of_several_clips_are_alike_as_far_as_they_share_them() -> None:
    most, one, none = alike(
        (clip(1), clip(3)), (clip(1), clip(3), clip(5)), (clip(1), clip(9)), (clip(9, "attn"), clip(8, "attn"))
    )
    assert most > one > none


@pytest.mark.parametrize("shape", SHAPES)
def test_likeness_is_a_correlation(shape: Shape) -> None:
    points = [(clip(layer, module, rate),) for layer in (0, 5) for module in ("mlp", "o") for rate in (0.0, 0.5, 0.99)]
    matrix = Likeness([*points, (clip(0), clip(1)), (clip(0), clip(5, "o", 0.99))]).matrix(shape)
    assert np.allclose(np.diag(matrix), 1)
    assert np.allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
