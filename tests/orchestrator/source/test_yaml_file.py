from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.source.yaml_file import read_yaml
from clipsweep.trials.base.errors import StudyError


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; expected keys and values"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n- b\n", "holds a list; expected keys and values"),
        (b"just words\n", "holds one value alone"),
        (b"a: [1, 2\nb: 3\n", "not YAML in line 2"),
        (b"a:\n\tb: 1\n", "not YAML in line 2: a tab stands where only blanks may"),
        (b"a: 1\nb: 2\na: 3\n", "not YAML in line 3: key 'a' stands twice"),
        (b"a: b: c\n", "a second colon in a line"),
        (b"a: 1\n  b: 2\n", "not YAML in line 2"),
        (b"a: {b: 1\n", "the end of the file"),
        (b"a: 1\n---\nb: 2\n", "not YAML in line 2"),
        (b"a: !!python/object:os.system {}\n", "could not determine a constructor"),
        (b"a: 2024-13-45\n", "holds a value that cannot be: .* Put it in quotes"),
        (b"a: \x00\n", "not YAML: character 3"),
        ("a: 1\n".encode("utf-16"), "not a text file in UTF-8: byte 0 is 0xff"),
        ("a: \u00e9\n".encode("latin-1"), "not a text file in UTF-8: byte 3 is 0xe9"),
        (b"\x89PNG\r\n\x1a\n\x00", "not a text file in UTF-8"),
        (b"[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_mapping_is_refused_in_a_line_that_says_where(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "s.yaml").write_bytes(content)
    with pytest.raises(StudyError, match=words) as refusal:
        read_yaml(tmp_path / "s.yaml")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa: 1\n", b"a: 1\r\n", b"---\na: 1\n...\n", b'{"a": 1}'])
def test_what_editors_add_to_a_file_is_no_part_of_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.yaml").write_bytes(content)
    held: dict[str, Any] = read_yaml(tmp_path / "s.yaml")
    assert held == {"a": 1}
