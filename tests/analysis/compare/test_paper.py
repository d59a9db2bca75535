import pytest

from clipsweep.analysis.compare.depth import FROM_END, SAME
from clipsweep.analysis.compare.paper import BesidePaper
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.published.read import published_table
from tests.analysis.compare.sides import make_side
from tests.analysis.winners.points import BASE, make_point

PUBLISHED = published_table().to_pylist()


def rte(layer: int, n_layers: int = 28) -> Side:
    """A study of RTE that has one layer at two of the paper's rates, and one that the paper does not have."""
    points = [BASE, *(make_point(layer, rate) for rate in (0.5, 0.99, 0.6))]
    right = {"base": [5], f"mlp_{layer}_0__5": [6], f"mlp_{layer}_0__99": [9], f"mlp_{layer}_0__6": [10]}
    return make_side("mine", points, right, n_layers=n_layers)


def beside(*sides: Side) -> BesidePaper:
    return BesidePaper(sides=sides, published=PUBLISHED)


def test_a_curve_stands_beside_the_points_at_its_layer_module_and_rates() -> None:
    [gptj, _] = beside(rte(26)).curves
    assert (gptj.site.model, gptj.site.module, gptj.site.matched) == ("GPT-J-6B", "mlp", SAME)
    assert [rate.clip_rate for rate in gptj.rates] == [0, 0.5, 0.99]
    last = gptj.rates[-1]
    assert list(last.published) == pytest.approx([0.566416, 0.538847], abs=1e-6)
    assert last.scores == (0.9, 0.5)
    assert last.published_gain == pytest.approx(0.027569, abs=1e-6)
    assert last.difference.estimate == pytest.approx(0.4)


def test_a_model_of_another_depth_is_matched_from_the_end() -> None:
    curves = beside(rte(4, n_layers=6)).curves
    assert [(each.site.model, each.site.published_layer, each.site.matched) for each in curves] == [
        ("GPT-J-6B", 26, FROM_END),
        ("LLAMA2-7B", 30, FROM_END),
    ]


def test_a_layer_that_the_paper_has_no_curve_of_stands_beside_none() -> None:
    assert beside(rte(13)).curves == []


def test_the_curve_of_the_winner_comes_first() -> None:
    points = [BASE, make_point(26, 0.5), make_point(0, 0.5)]
    side = make_side("mine", points, {"base": [5], "mlp_26_0__5": [6], "mlp_0_0__5": [1]})
    found = [(each.site.published_layer, each.won) for each in beside(side).curves]
    assert found == [(26, True), (30, True), (0, False), (0, False)]  # layer -2 of GPT-J and of LLaMA2, then layer 0


def test_gains_that_go_the_same_way_are_counted() -> None:
    [gptj, _] = beside(rte(26)).agreements
    assert (gptj.study, gptj.model, gptj.points) == ("mine", "GPT-J-6B", 2)
    assert (gptj.alike, gptj.opposite) == (1, 0)  # the paper stays as it was at 0.5, and gains 2.8 points at 0.99
    assert gptj.correlation == pytest.approx(1.0)


def test_each_line_of_the_tables_stands_beside_the_winner_of_its_module() -> None:
    tests = beside(rte(26)).tests
    printed = [each for each in tests if each.published["source"] == "table 6"]
    assert [(each.published["module"], each.winner is not None) for each in printed] == [
        ("mlp", True),
        ("attn", False),
        ("mlp", True),
        ("attn", False),
    ]
    assert printed[0].published_gain == pytest.approx(0.01087)
    released = [each.published["layer"] for each in tests if each.published["source"] == "released code"]
    assert sorted(released) == [0, 0, 0, 0, 1, 1, 1, 1, 26, 27, 31, 31]  # those of the tables are not said twice


def test_a_task_of_which_there_are_only_tables_has_no_curves() -> None:
    side = make_side("mine", [BASE, make_point(26)], {"base": [5], "mlp_26_0__5": [6]}, task="sst2")
    assert beside(side).curves == []
    assert len(beside(side).tests) == 4
    assert beside(side).document()["agreement"] == []
