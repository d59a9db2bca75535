import pytest

from clipsweep.trials.theory.claims import Claim, Statement


@pytest.mark.parametrize(
    ("claim", "left", "right", "holds"),
    [
        (Claim.UPDATE_FALLS, 1.0, 2.0, True),
        (Claim.UPDATE_FALLS, 2.0, 1.0, False),
        (Claim.UPDATE_FALLS, 1.000001, 1.0, True),  # rounding of a float32 SVD
        (Claim.UPDATE_FALLS, 1.0001, 1.0, False),
        (Claim.UPDATE_FALLS, 0.0, 0.0, True),
        (Claim.SQUARES_ADD_UP, 1.0, 1.000001, True),
        (Claim.SQUARES_ADD_UP, 1.0, 1.0001, False),
        (Claim.SQUARES_ADD_UP, 1.0001, 1.0, False),
    ],
)
def test_a_statement_holds_up_to_rounding(claim: Claim, left: float, right: float, holds: bool) -> None:
    assert Statement(claim=claim, block=0, left=left, right=right).holds is holds
