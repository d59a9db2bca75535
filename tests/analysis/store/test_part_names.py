import pytest

from clipsweep.analysis.store.part_names import accepted_name, accepted_token, age_of, is_part, part_name, token_of


def test_a_name_says_under_which_claim_a_file_was_written() -> None:
    assert part_name(7, "1f00ab", 12) == "part-00000007-1f00ab-000012.parquet"
    assert token_of(part_name(7, "1f00ab", 12)) == 7
    assert is_part(part_name(7, "1f00ab", 12))


@pytest.mark.parametrize("name", ["part-2f95c5e2247c-000007.parquet", "part-12345678-000007.parquet", "part-x.parquet"])
def test_files_of_earlier_versions_were_written_under_no_claim(name: str) -> None:
    assert token_of(name) == 0
    assert is_part(name)


def test_files_are_ordered_by_claim_and_then_as_their_writer_wrote_them() -> None:
    names = [part_name(2, "a", 0), part_name(1, "z", 9), "part-2f95c5e2247c-000007.parquet", part_name(1, "z", 10)]
    assert sorted(names, key=age_of) == [names[2], names[1], names[3], names[0]]


def test_drafts_and_lists_hold_no_rows() -> None:
    assert not is_part(".draft-1-part-00000001-a-000000.parquet")
    assert not is_part(accepted_name(1))


def test_the_claim_of_a_list_is_read_back() -> None:
    assert accepted_token(accepted_name(12)) == 12
    assert accepted_token(f".draft-1-{accepted_name(12)}") is None
