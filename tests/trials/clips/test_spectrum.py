import math
from typing import Any

import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.clips.spectrum import MatrixSpectrum, conditions_of, module_condition


def make_spectrum(*values: float, **fields: Any) -> MatrixSpectrum:
    place: dict[str, Any] = {
        "layer": 0,
        "role": "q",
        "parameter": "w",
        "expert": None,
        "rows": len(values),
        "cols": len(values) + 1,
    }
    return MatrixSpectrum(**place | fields, singular_values=values)


def test_the_condition_number_is_the_largest_over_the_smallest_singular_value() -> None:
    assert make_spectrum(6.0, 3.0, 1.5).condition_number == 4.0


@pytest.mark.parametrize("values", [(6.0, 0.0), (0.0, 0.0)])
def test_a_singular_matrix_has_an_infinite_condition_number(values: tuple[float, ...]) -> None:
    assert make_spectrum(*values).condition_number == math.inf


@pytest.mark.parametrize(
    ("values", "shape"),
    [((1.0,), (2, 2)), ((1.0, 2.0), (2, 2)), ((1.0, -1.0), (2, 2)), ((math.inf, 1.0), (2, 2)), ((), (0, 3))],
)
def test_values_that_no_such_matrix_has_are_refused(values: tuple[float, ...], shape: tuple[int, int]) -> None:
    with pytest.raises(SpecError, match=r"cannot have the \d singular values.*largest first"):
        make_spectrum(*values, rows=shape[0], cols=shape[1])


def test_conditions_of_experts_stand_together_at_their_place() -> None:
    spectra = [
        make_spectrum(4.0, 2.0, role="up", expert=0),
        make_spectrum(4.0, 1.0, role="up", expert=1),
        make_spectrum(9.0, 1.0),
    ]
    assert conditions_of(spectra) == {(0, "up"): (2.0, 4.0), (0, "q"): (9.0,)}


@pytest.mark.parametrize(("combination", "expected"), [("max", 6.0), ("mean", 3.0), ("min", 1.0)])
def test_a_module_has_one_condition_number(combination: str, expected: float) -> None:
    conditions = {(0, "fc_in"): (1.0, 2.0), (0, "fc_out"): (6.0,), (0, "q"): (99.0,)}
    assert module_condition(conditions, [(0, "fc_in"), (0, "fc_out")], combination) == expected


def test_the_mean_over_a_singular_matrix_is_infinite() -> None:
    assert module_condition({(0, "q"): (2.0, math.inf)}, [(0, "q")], "mean") == math.inf


def test_an_unknown_combination_is_refused() -> None:
    with pytest.raises(SpecError, match="no module_condition 'maximum'; known: max, mean, min. Did you mean 'max'"):
        module_condition({(0, "q"): (2.0,)}, [(0, "q")], "maximum")
