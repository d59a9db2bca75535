"""Keys of a study that are given beside its file: ``--set key=value``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clipsweep.orchestrator.source.yaml_file import parse_yaml
from clipsweep.orchestrator.words import shown
from clipsweep.trials.base.errors import StudyError

Override = tuple[str, Any]  # a dotted key of a study, and the value that it takes
EXAMPLE = "expected key=value, as in --set 'space.shots=[0, 4]'"


def parse_once(texts: Sequence[str], options: Sequence[Override] = ()) -> list[Override]:
    """Read what ``run --set`` takes, several times, beside options that stand for a key.

    A key that is given twice is refused: whoever writes ``shots=4`` and ``shots=10`` may want both, and would wait for
    the later alone.

    Raises:
        StudyError: As ``parse_override``; a key that is given twice.
    """
    pairs = [*map(parse_override, texts), *options]
    for number, (key, value) in enumerate(pairs):
        earlier = [each for name, each in pairs[:number] if name == key]
        if earlier:
            raise StudyError(
                f"study key {key!r} is given twice on the command line, as {shown(earlier[0])} and as {shown(value)}; "
                f"expected it once. Remove one of the two."
            )
    return pairs


def parse_override(text: str) -> Override:
    """Read what ``--set`` takes: ``key=value``, the key dotted (``space.shots=[0,4]``), the value YAML.

    Raises:
        StudyError: No ``=``, no key before it, or no YAML behind it.
    """
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator:
        raise StudyError(f"--set {text!r} has no '='; {EXAMPLE}.")
    if not all(key.split(".")):
        raise StudyError(f"--set {text!r} has no whole key before its '='; {EXAMPLE}.")
    return key, parse_yaml(value, f"the value in --set {text!r}")


def apply_override(content: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into a study, below sections that are made where there are none.

    Raises:
        StudyError: The key leads through something that is no section.
    """
    *sections, last = key.split(".")
    for number, section in enumerate(sections):
        held = content.setdefault(section, {})
        if not isinstance(held, dict):
            above = ".".join(sections[: number + 1])
            raise StudyError(
                f"no study key {key!r}: {section!r} is not a section of the study; {above!r} is {shown(held)}. "
                f"Set {above!r} itself, or mend the key."
            )
        content = held
    content[last] = value
