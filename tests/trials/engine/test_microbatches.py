from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clipsweep.trials.engine.microbatches import MICROBATCHES_PER_CHUNK, PASS_TOKENS, Microbatch, plan_microbatches
from clipsweep.trials.prompts.prompts import Prompts, Query

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=60)


def make_prompts(lengths: list[int], cuts: tuple[int, ...] = ()) -> Prompts:
    queries = tuple(Query(tokens=(7,) * n, labels=((1,), (2,)), gold=0) for n in lengths)
    return Prompts(prefix=(1,), queries=queries, cuts=cuts)


@given(LENGTHS, st.integers(1, 5))
def test_every_label_of_every_query_is_read_once(lengths: list[int], size: int) -> None:
    reads = [batch.reads for batch in plan_microbatches(make_prompts(lengths), size)]
    pairs = [pair for each in reads for pair in zip(each.query.tolist(), each.label.tolist(), strict=True)]
    assert sorted(pairs) == [(query, label) for query in range(len(lengths)) for label in (0, 1)]


@given(LENGTHS, st.integers(1, 3))
def test_a_prefix_of_whole_chunks_is_cut_the_same_way_alone(lengths: list[int], size: int) -> None:
    chunk = size * MICROBATCHES_PER_CHUNK
    whole = list(plan_microbatches(make_prompts(lengths), size))
    head = list(plan_microbatches(make_prompts(lengths[:chunk]), size))
    assert [(each.sequences, queries_of(each)) for each in whole[: len(head)]] == [
        (each.sequences, queries_of(each)) for each in head
    ]


def test_queries_are_sorted_by_length_within_a_chunk_only() -> None:
    lengths = [9, *[1] * (MICROBATCHES_PER_CHUNK - 1), 5, 2]
    widths = [batch.width for batch in plan_microbatches(make_prompts(lengths), 1)]
    assert widths == [1] * (MICROBATCHES_PER_CHUNK - 1) + [9, 2, 5]


def test_a_microbatch_is_smaller_where_that_spares_more_padding_than_a_pass_costs() -> None:
    spared = [1] * 3 + [1 + PASS_TOKENS // 2] * 2  # padding of 3 * 32 tokens
    batches = [len(batch.sequences) for batch in plan_microbatches(make_prompts(spared), 8)]
    assert batches == [3, 2]
    too_little = [1] * 3 + [PASS_TOKENS // 3] * 2
    assert [len(batch.sequences) for batch in plan_microbatches(make_prompts(too_little), 8)] == [5]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40), st.integers(1, 6))
def test_microbatches_are_no_larger_than_asked_for_and_cost_no_more_than_full_ones(
    lengths: list[int], size: int
) -> None:
    batches = list(plan_microbatches(make_prompts(lengths), size))
    assert max(len(batch.sequences) for batch in batches) <= size
    full = [sorted(lengths)[begin : begin + size] for begin in range(0, len(lengths), size)]
    if len(lengths) <= size * MICROBATCHES_PER_CHUNK:
        cost = sum(len(batch.sequences) * batch.width + PASS_TOKENS for batch in batches)
        assert cost <= sum(len(each) * each[-1] + PASS_TOKENS for each in full)


def queries_of(batch: Microbatch) -> list[int]:
    return [int(number) for number in batch.reads.query]


@given(LENGTHS, st.integers(1, 5), st.data())
def test_parts_between_cuts_run_in_the_microbatches_of_the_whole(
    lengths: list[int], size: int, data: st.DataObject
) -> None:
    drawn = data.draw(st.sets(st.integers(1, max(1, len(lengths) - 1)), max_size=4))
    cuts = tuple(sorted(cut for cut in drawn if cut < len(lengths)))
    prompts = make_prompts(lengths, cuts)
    whole = [queries_of(batch) for batch in plan_microbatches(prompts, size)]
    ends = (0, *data.draw(st.sets(st.sampled_from(cuts)) if cuts else st.just(set())), len(lengths))
    parts = [
        queries_of(batch)
        for start, stop in pairwise(sorted(ends))
        for batch in plan_microbatches(prompts.part(start, stop), size)
    ]
    assert parts == whole


def test_no_microbatch_crosses_a_cut() -> None:
    batches = plan_microbatches(make_prompts([1] * 20, cuts=(5, 16)), 4)
    assert [len(batch.sequences) for batch in batches] == [4, 1, 4, 4, 3, 4]


@given(LENGTHS, st.integers(1, 5), st.data())
def test_a_part_that_ends_anywhere_runs_in_the_microbatches_that_hold_its_queries(
    lengths: list[int], size: int, data: st.DataObject
) -> None:
    prompts = make_prompts(lengths, cuts=(len(lengths) // 2,) if len(lengths) > 1 else ())
    start = data.draw(st.integers(0, len(lengths) - 1))
    stop = data.draw(st.integers(start + 1, len(lengths)))
    whole = [queries_of(batch) for batch in plan_microbatches(prompts, size)]
    part = [queries_of(batch) for batch in plan_microbatches(prompts.part(start, stop), size)]
    assert part == [batch for batch in whole if any(start <= number < stop for number in batch)]
