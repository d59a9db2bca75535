from hypothesis import given
from hypothesis import strategies as st

from orchestrator.drivers.grid import GridDriver
from orchestrator.space import Space
from tests.trials.test_model_card import CARD
from trials.model_card import trial_id

AXES = st.builds(
    Space,
    model=st.just("m"),
    task=st.just("t"),
    shots=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(tuple),
    demo_seeds=st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True).map(tuple),
    layers=st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True).map(tuple),
    modules=st.lists(st.sampled_from(["attn", "mlp", "q"]), min_size=1, max_size=3, unique=True).map(tuple),
    clip_rates=st.lists(st.sampled_from([0.0, 0.5, 0.9]), min_size=1, max_size=3, unique=True).map(tuple),
)


@given(AXES)
def test_every_point_has_one_index(space: Space) -> None:
    specs = [space.proposal(index).spec for index in range(len(space))]
    assert len(set(specs)) == len(specs)
    assert sum(not spec.clips for spec in specs) == space.n_baselines


@given(AXES, st.integers(1, 7))
def test_the_grid_driver_asks_for_every_point_once(space: Space, count: int) -> None:
    driver, asked = GridDriver(space), 0
    while not driver.done:
        asked += len(driver.ask(count))
    assert asked == len(space)
    assert driver.ask(count) == []


@given(AXES)
def test_every_point_of_the_figures_is_answered_by_a_trial_of_the_grid(space: Space) -> None:
    run = {trial_id(space.proposal(index).spec, CARD, "t") for index in range(len(space))}
    points = space.points(CARD, "t", tested=True)
    assert {trial for point in points for trial in (*point.trial_ids, *point.baseline_ids)} == run
    assert not {trial for point in points for trial in point.test_ids} & run


def test_trials_that_share_prompts_follow_each_other() -> None:
    space = Space(
        model="m", task="t", shots=(0, 4), demo_seeds=(0,), layers=(0, 1), modules=("mlp",), clip_rates=(0.5, 0.9)
    )
    shots = [space.proposal(index).spec.shots for index in range(space.n_baselines, len(space))]
    assert shots == sorted(shots)
