"""Read YAML: a file's keys and values, or what is wrong with it and in which line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.os_words import worded_as


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML's own loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} stands twice", key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values.

    Raises:
        StudyError: It cannot be read, is not YAML, or holds something else.
    """
    content = parse_yaml(_read_text(path), str(path))
    if content is None:
        raise StudyError(f"{path} is empty; expected keys and values. 'clipsweep init' writes a study to start from.")
    if not isinstance(content, dict):
        raise StudyError(
            f"{path} holds {_kind(content)}; expected keys and values, as in 'name: my-study'. Is it a study file?"
        )
    return content


def _kind(content: Any) -> str:
    return "a list" if isinstance(content, list) else "one value alone"


def _read_text(path: Path) -> str:
    try:
        with worded_as(StudyError, f"reading {path}"):
            return path.read_text(encoding="utf-8-sig")  # an editor's byte order mark is no part of the text
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{path} is not a text file in UTF-8: byte {error.start} is {error.object[error.start]:#04x}. "
            f"Save it as UTF-8, or give the YAML file that you meant."
        ) from error


def parse_yaml(text: str, where: str) -> Any:
    """Read a text as YAML, in which no key of a mapping may stand twice.

    Args:
        text: YAML.
        where: What messages call it.

    Raises:
        StudyError: It is not YAML, with the line.
    """
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" in line {mark.line + 1}" if mark is not None and "\n" in text.strip() else ""
        raise StudyError(f"{where} is not YAML{line}: {_problem(error, text)}.") from error
    except yaml.reader.ReaderError as error:
        raise StudyError(
            f"{where} is not YAML: character {error.position} is {error.character!r}, which no text has. Remove it."
        ) from error
    except RecursionError as error:
        raise StudyError(f"{where} is nested too deeply to be read; expected a few levels of keys.") from error
    except ValueError as error:  # a date or number that there cannot be, such as 2024-13-01
        raise StudyError(f"{where} holds a value that cannot be: {error}. Put it in quotes if it is text.") from error


def _problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """What is wrong, and the mend of what people meet most."""
    problem = (error.problem or error.context or "it cannot be read").strip().rstrip(".")
    if "'\\t'" in problem or _begins_with_tab(error, text):
        return "a tab stands where only blanks may; indent with blanks"
    if "mapping values are not allowed" in problem:
        return "a second colon in a line, or a line indented too far; put a text with a colon in quotes"
    if "expected <block end>" in problem:
        return "the line does not go on with what stands above it; look at indentation, commas and quotes"
    return problem.replace("<stream end>", "the end of the file")


def _begins_with_tab(error: yaml.MarkedYAMLError, text: str) -> bool:
    lines, mark = text.splitlines(), error.problem_mark
    return mark is not None and mark.line < len(lines) and lines[mark.line].lstrip(" ").startswith("\t")
