from clipsweep.orchestrator.reporting.keeps import describe_kept
from tests.trials.models.test_card import CARD
from tests.trials.spec.test_clip import make_clip

SEVERAL = [(0, "q", 0.1), (1, "q", 0.3), (2, "q", 0.5), (3, "q", 0.7), (0, "k", 0.9)]


def test_the_untouched_model_keeps_everything() -> None:
    share, number = describe_kept((), CARD)
    assert share == "100.00 %"
    assert number == f"of the parameters: {CARD.parameters_total:,} of {CARD.parameters_total:,}"


def test_equal_ranks_are_told_together() -> None:
    *_, ranks = describe_kept((make_clip(module="attn", clip_rate=0.5),), CARD)
    assert ranks == "rank 10 of 20 in 4 matrices"


def test_very_many_different_ranks_are_told_as_a_range() -> None:
    clips = [make_clip(layer=layer, module=module, clip_rate=rate) for layer, module, rate in SEVERAL]
    assert describe_kept(clips, CARD)[2:] == ["rank 2 to 18 in 5 matrices"]


def test_a_kind_that_leaves_no_rank_is_told_by_its_parameters() -> None:
    assert len(describe_kept((make_clip(kind="zero"),), CARD)) == 2
