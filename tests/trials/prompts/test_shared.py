from clipsweep.trials.prompts.shared import shared_start


def test_the_start_of_texts_and_of_tokens() -> None:
    assert shared_start(["the sea", "the ship", "the sun"]) == "the s"
    assert shared_start([(1, 2, 3), (1, 2), (1, 2, 4)]) == (1, 2)


def test_nothing_is_shared() -> None:
    assert shared_start(["a", "b"]) == ""
