from clipsweep.analysis.compare.depth import FROM_END, FROM_START, SAME, answering_layer


def test_models_of_one_depth_are_compared_layer_by_layer() -> None:
    assert [answering_layer(layer, 28, 28) for layer in (0, 13, 27)] == [(0, SAME), (13, SAME), (27, SAME)]


def test_else_the_first_half_counts_from_the_start_and_the_second_from_the_end() -> None:
    found = [answering_layer(layer, 28, 6) for layer in (0, 1, 26, 27)]  # 0, 1, -2, -1 of GPT-J
    assert found == [(0, FROM_START), (1, FROM_START), (4, FROM_END), (5, FROM_END)]
    assert [answering_layer(layer, 32, 48) for layer in (1, 30)] == [(1, FROM_START), (46, FROM_END)]


def test_a_shallow_model_has_no_layer_in_the_half_that_a_deep_one_has() -> None:
    assert [answering_layer(layer, 28, 2) for layer in (0, 1, 26, 27)] == [(0, FROM_START), None, None, (1, FROM_END)]
