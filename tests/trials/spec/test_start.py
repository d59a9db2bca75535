from clipsweep.trials.spec.modules import ATTENTION, MLP
from clipsweep.trials.spec.start import USUALLY_REUSED, Start


def test_a_part_that_a_block_cannot_reuse_is_computed() -> None:
    assert Start(block=3, reuse=MLP).narrowed(USUALLY_REUSED) == Start(block=3)


def test_a_part_that_a_block_can_reuse_stands() -> None:
    assert Start(block=3, reuse=ATTENTION).narrowed(USUALLY_REUSED) == Start(block=3, reuse=ATTENTION)
