import json

from clipsweep.trials.spec.shape import Shape, rows_of_shapes, shapes_of_rows
from tests.trials.models.test_card import MIXTURE


def test_shapes_are_the_same_after_json() -> None:
    assert shapes_of_rows(json.loads(json.dumps(rows_of_shapes(MIXTURE.shapes)))) == MIXTURE.shapes


def test_shapes_of_older_files_are_of_one_matrix() -> None:
    assert shapes_of_rows([[0, "q", 20, 40]]) == {(0, "q"): (Shape(20, 40, 1),)}
