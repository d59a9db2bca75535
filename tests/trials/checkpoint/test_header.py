import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.header import read_header

ONE = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
TWO = {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]}
BODY = bytes(32)
ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "four",
    [],
    [-1],
    [1.5],
    [True, 24],
    [0],
    [0, 24, 24],
    {},
    {"a": 1},
    [[]],
]


def packed(header: Any, body: bytes = BODY) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + body


def refusal(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelError) as refused:
        read_header(path)
    return str(refused.value)


def test_a_header_gives_dtype_shape_and_the_bytes_of_each_tensor(tmp_path: Path) -> None:
    content = packed({"__metadata__": {"format": "pt"}, "one": ONE, "two": TWO})
    (tmp_path / "w").write_bytes(content)
    found = read_header(tmp_path / "w")
    assert {name: (each.dtype, each.shape) for name, each in found.items()} == {
        "one": ("F32", (2, 3)),
        "two": ("BF16", (4,)),
    }
    assert (found["two"].start, found["two"].stop) == (len(content) - 8, len(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it has 0 bytes"),
        (b"abc", "it has 3 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a pointer of Git LFS"),
        (b"\xff" * 8 + BODY, "ask for a header of 18446744073709551615"),
        (packed(b""), "does not parse"),
        (packed(b'{"one": '), "does not parse"),
        (packed(b'"\xff\xfe"'), "does not parse"),
        (packed(b"[" * 100_000), "it is nested too deeply"),
        (packed(b'{"a":' * 100_000), "it is nested too deeply"),
        (packed(b'{"one": 1, "one": 2}'), "the key 'one' stands twice"),
        (packed([ONE]), "it holds a list; expected a JSON mapping"),
        (packed("text"), 'it holds "text"'),
        (packed({"one": "text"}), "its header has \"text\" for 'one', not a mapping"),
        (packed({"one": ONE, "two": {**TWO, "data_offsets": [16, 24]}}), "'two' begins at byte 16, and the one"),
        (packed({"one": ONE, "two": {**TWO, "data_offsets": [28, 36]}}), "'two' begins at byte 28"),
        (packed({"one": {**ONE, "data_offsets": [24, 0]}}), "its shape and dtype take 24"),
        (packed({"one": {**ONE, "shape": [2, 4]}}), "fills bytes 0 to 24, and its shape and dtype take 32"),
        (packed({"one": ONE, "two": TWO}, BODY[:-1]), "its header says"),
        (packed({"one": ONE, "two": TWO}, BODY + b"x"), "its header says"),
        (packed({"one": ONE, "two": TWO, "__metadata__": [1]}), "its __metadata__ is not a mapping of texts"),
    ],
)  # fmt: skip
def test_a_damaged_header_is_refused_in_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    said = refusal(content, tmp_path / "w")
    assert words in said
    assert "Copy or download it again." in said
    assert "\n" not in said


@pytest.mark.parametrize("key", ["dtype", "shape", "data_offsets"])
@pytest.mark.parametrize("value", ODD)
def test_a_tensor_of_which_anything_is_odd_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    assert "is not a safetensors file" in refusal(packed({"one": {**ONE, key: value}, "two": TWO}), tmp_path / "w")


@pytest.mark.parametrize("key", ["dtype", "shape", "data_offsets"])
def test_a_tensor_that_lacks_anything_is_refused(key: str, tmp_path: Path) -> None:
    entry = {name: value for name, value in ONE.items() if name != key}
    assert f"the {key} of 'one'" in refusal(packed({"one": entry, "two": TWO}), tmp_path / "w")


@given(place=st.integers(0, 200), byte=st.integers(0, 255), length=st.integers(0, 250))
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, length: int
) -> None:
    content = bytearray(packed({"one": ONE, "two": TWO}))
    content[place % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content[:length])
    with suppress(ModelError):
        read_header(path)
