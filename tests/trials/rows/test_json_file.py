import json
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.json_file import read_json
from clipsweep.trials.rows.values import text_of

LINE = '{"v": "a", "label": "pos"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def rows(path: Path, content: str) -> list[tuple[int, Any]]:
    path.write_bytes(content.encode())
    return [(line, dict(row)) for line, row in read_json(path)]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"2024-01-20"', "2024-01-20"),
        ('"2024-01-20T10:00:00Z"', "2024-01-20T10:00:00Z"),
        ('"02134"', "02134"),
        ('"1.0"', "1.0"),
        ('"NaN"', "NaN"),
        ("19.50", "19.50"),
        ("1E5", "1E5"),
        ("-0", "-0"),
        ("1e400", "1e400"),
        ("0.1000000000000000055511", "0.1000000000000000055511"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("9" * 5000, "9" * 5000),
        ("true", "true"),
        (r'"\ud83d\ude00"', "😀"),
        ('"a\u2028b\x85c"', "a\u2028b\x85c"),
        (r'"a\r\nb"', "a\r\nb"),
    ],
)
def test_a_value_prints_as_it_was_written(path: Path, written: str, text: str) -> None:
    [(_, row)] = rows(path, f'{{"v": {written}}}\n')
    assert text_of(row["v"], "v") == text


def test_numbers_are_numbers_to_a_user_s_function(path: Path) -> None:
    [(_, row)] = rows(path, '{"price": 19.50, "count": 3}')
    assert (row["price"] * 2, row["count"] + 1) == (39.0, 4)


def test_lines_are_counted_with_the_empty_ones(path: Path) -> None:
    assert [line for line, _ in rows(path, f"\n{LINE}\r\n \n{LINE}")] == [2, 5]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_objects_is_read_with_the_line_of_each(path: Path, indent: int | None) -> None:
    found = rows(path, json.dumps([{"v": "a"}, {"v": "b"}], indent=indent))
    assert [row for _, row in found] == [{"v": "a"}, {"v": "b"}]
    assert [line for line, _ in found] == ([1, 1] if indent is None else [2, 5])


def test_an_empty_list_holds_no_rows(path: Path) -> None:
    assert rows(path, "[]\n") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LINE + '{"v": "cut', "line 2: not JSON: the file ends in the middle of the object"),
        (LINE + '{"v": tru', "line 2: not JSON: the file ends in the middle of the object"),
        (LINE + '{"v": "b",}\n' + LINE, "line 2: not JSON: a comma too many before '}'"),
        (LINE + '{"v": ["b",]}\n' + LINE, r"line 2: not JSON: a comma too many before '\]'"),
        (LINE + "{'v': 'b'}\n" + LINE, "line 2: not JSON: .* near .*; expected an object on each line"),
        (LINE + '{"v": NaN}\n', "line 2: NaN is no JSON; expected a number, a text or null"),
        (LINE + '{"v": -Infinity}\n', "line 2: -Infinity is no JSON"),
        (LINE + '{"v": [NaN]}\n', "line 2: NaN is no JSON"),
        (LINE + '{"v": "x \\ud83d y"}\n', r"line 2: half a surrogate pair, '\\ud83d'"),
        (LINE + '{"v": ["\\udc00"]}\n', "line 2: half a surrogate pair"),
        (LINE + '{"v": "a", "v": "b"}\n', "line 2: key 'v' stands twice in one object"),
        (LINE + '{"m": {"v": "a", "v": "b"}}\n', "line 2: key 'v' stands twice in one object"),
        (LINE + '{"v":' + "[" * 100_000 + "\n", "line 2: lists or objects lie too deep in each other"),
        (LINE + "3\n", "line 2: '3' is no object; expected an object on each line"),
        (LINE[:-1] + LINE, "line 1: .* follows the object"),
        ('[\n{"v": 1},\n]', r"line 3: not JSON: a comma too many before '\]'"),
        ('[\n{"v": 1},\n{"v": "b', "line 3: not JSON: the file ends in the middle of the object"),
        ('[\n{"v": 1}', "line 2: the file ends inside the list; it may be cut off"),
        ('[\n{"v": 1}\n{"v": 2}]', "line 2: .* follows the object; expected a comma"),
        ('[{"v": 1}]\n]', "line 1: .* follows the list"),
        ('{\n "data": [{"v": 1}]\n}', "line 1: not JSON: .*; expected an object on each line"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(path: Path, content: str, words: str) -> None:
    path.write_bytes(content.encode())
    with pytest.raises(TaskError, match=f"train.jsonl, {words}"):
        read_json(path)
