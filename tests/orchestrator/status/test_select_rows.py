from collections.abc import Callable

import pytest

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.status.select_rows import Selection, parse_condition, parse_selection
from clipsweep.trials.base.errors import SpecError


def row(**values: object) -> StoredRow:
    return StoredRow.of({"state": "complete", "split": "validation", **values})


ROWS = [
    row(trial_id="a", shots=4, accuracy=0.5, layer=None, module=None, clip_rate=None),
    row(trial_id="b", shots=10, accuracy=0.75, layer=0, module="mlp", clip_rate=0.9),
    row(trial_id="c", shots=10, accuracy=None, layer=1, module="attn", clip_rate=0.5, state="failed"),
]


@pytest.fixture
def ids() -> Callable[..., str]:
    """Which rows are left, by what ``clipsweep results`` takes."""

    def select(where: tuple[str, ...] = (), sort: str | None = None, top: int | None = None) -> str:
        return "".join(row.trial_id for row in parse_selection(where, sort, top).best_by("accuracy").of(ROWS))

    return select


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (("shots=10",), "bc"),
        (("shots = 10",), "bc"),
        (("shots==10",), "bc"),
        (("shots!=10",), "a"),
        (("shots<10",), "a"),
        (("shots<=10",), "abc"),
        (("clip_rate>0.5",), "b"),
        (("clip_rate>=0.5",), "bc"),
        (("clip_rate=.9",), "b"),
        (("shots=10", "accuracy>0.5"), "b"),
        (("layer=null",), "a"),
        (("layer!=null",), "bc"),
        (("module=mlp",), "b"),
        (("module!='mlp'",), "ac"),
        (("state=failed",), "c"),
        (("accuracy<1",), "ab"),
    ],
)
def test_conditions_are_typed_and_all_hold(ids: Callable[..., str], where: tuple[str, ...], left: str) -> None:
    assert ids(where) == left


@pytest.mark.parametrize(
    ("sort", "order"), [("accuracy", "abc"), ("-accuracy", "bac"), ("-layer", "cba"), ("module", "cba")]
)
def test_rows_are_sorted_with_null_last(ids: Callable[..., str], sort: str, order: str) -> None:
    assert ids((), sort) == order


def test_the_first_so_many_are_the_best_unless_another_column_is_named(ids: Callable[..., str]) -> None:
    assert (ids((), None, 1), ids((), "shots", 1), ids((), None, 9)) == ("b", "a", "bac")


def test_the_best_saw_all_validation_rows_before_all_test_rows_before_some() -> None:
    rows = [
        row(trial_id="a", split="validation", state="pruned", accuracy=0.9),
        row(trial_id="b", split="test", accuracy=0.8),
        row(trial_id="c", split="validation", accuracy=0.6),
        row(trial_id="d", split="validation", accuracy=0.7),
    ]
    best, sorted_by_hand = parse_selection((), None, 4), parse_selection((), "-accuracy", 4)
    assert [each.trial_id for each in best.best_by("accuracy").of(rows)] == list("dcba")
    assert [each.trial_id for each in sorted_by_hand.best_by("accuracy").of(rows)] == list("abdc")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("shot=10", "no column 'shot'; known: .* Did you mean 'shots'"),
        ("shots", "compares nothing; expected COLUMN=VALUE"),
        ("=10", "compares nothing"),
        ("shots=ten", "column 'shots' is compared with 'ten'; expected a number, or null"),
        ("finished_at>yesterday", "expected a time, as in 2026-01-31T12:00"),
        ("clips=1", "column 'clips' holds more than one value"),
        ("margins=1", "column 'margins' holds more than one value"),
        ("state=complet", "no state 'complet'; known: .* Did you mean 'complete'"),
    ],
)
def test_a_condition_that_cannot_be_is_refused(where: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_condition(where)


def test_a_time_is_compared_in_utc_unless_it_says_otherwise() -> None:
    assert parse_condition("finished_at>2026-01-31").value.isoformat() == "2026-01-31T00:00:00+00:00"


def test_without_any_wish_rows_stay_as_they_are() -> None:
    assert Selection().of(ROWS) == ROWS
