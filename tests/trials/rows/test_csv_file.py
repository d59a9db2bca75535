import csv
from pathlib import Path

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.csv_file import read_csv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


def values(path: Path, content: str) -> list[dict[str, str]]:
    path.write_bytes(content.encode())
    return [dict(row) for _, row in read_csv(path)]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("02134", "02134"),
        ("19.50", "19.50"),
        ('"007"', "007"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("2024-01-20", "2024-01-20"),
        ("True", "True"),
        ("None", "None"),
        ("NA", "NA"),
        ("nan", "nan"),
        ("1e5", "1e5"),
        ("", ""),
        ('""', ""),
        (" a ", " a "),
        ('"a, b"', "a, b"),
        ('"say ""yes"""', 'say "yes"'),
        ('"two\r\nlines\rand\x0cmore"', "two\r\nlines\rand\x0cmore"),
        ('a 5" disk', 'a 5" disk'),
        ('a\\"b', 'a\\"b'),
        ("# no comment", "# no comment"),
        ("a\u2028b", "a\u2028b"),
    ],
)
def test_a_value_is_text_as_written(path: Path, field: str, text: str) -> None:
    assert values(path, f"v,label\n{field},pos\n") == [{"v": text, "label": "pos"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_row(path: Path, end: str) -> None:
    assert values(path, end.join(["v,label", "a,pos", "b,neg"])) == [
        {"v": "a", "label": "pos"},
        {"v": "b", "label": "neg"},
    ]


def test_a_row_has_the_line_where_it_begins_and_empty_lines_are_none(path: Path) -> None:
    path.write_text('\nv,label\n\n"a\nb",pos\n\nc,neg\n\n')
    assert [(line, row["v"]) for line, row in read_csv(path)] == [(4, "a\nb"), (7, "c")]


def test_a_column_of_numbers_without_a_name_is_one_more_column(path: Path) -> None:
    assert values(path, ",v\n0,a\n1,b\n") == [{"": "0", "v": "a"}, {"": "1", "v": "b"}]


def test_columns_without_a_name_may_be_empty(path: Path) -> None:
    assert values(path, "v,label,,\na,pos,,\n")[0]["v"] == "a"


def test_a_value_may_be_of_any_length_and_the_module_s_limit_is_left_alone(path: Path) -> None:
    before = csv.field_size_limit()
    assert len(values(path, f"v,label\n{'x' * 200_000},pos\n")[0]["v"]) == 200_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "v,label\na,pos\na, b,pos\n",
            r"line 3: the row has 3 values, but the header names 2 columns \('v', 'label'\)",
        ),
        ("v,label\na,pos\nb\n", "line 3: the row has 1 value, but the header names 2 columns"),
        ("v,label\na\rb,pos\n", "line 2: the row has 1 value"),
        ("v,v\na,b\n", "line 1: two columns are named 'v'; expected one"),
        ("v;label\na, b;pos\n", "line 1: the header is one name, 'v;label'; .* have semicolons between its values"),
        ("v\tlabel\na\tpos\n", "line 1: the header is one name, .*have tabs between its values"),
        ("label,v,\npos,a, b\n", "line 2: ' b' stands in a column without a name"),
        ('v,label\nx,neg\n"a b,pos\ny,neg\n', "line 3: a double quote opens here and never closes"),
        ('v,label\n"a\nb","po\nc,neg\n', "line 3: a double quote opens here and never closes"),
        (
            'v,label\n"a,pos\nb,neg\n"c",pos\n',
            "line 2: a double quote opens here, and the one that closes it, in line 4",
        ),
        ('v,label\n"a"b,pos\n', "line 2: a double quote opens here, and the one that closes it, in line 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(path: Path, content: str, words: str) -> None:
    path.write_bytes(content.encode())
    with pytest.raises(TaskError, match=f"train.csv, {words}"):
        read_csv(path)
