"""The documentation as text: its files, the sections under its headings, and what they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def headings(text: str) -> Iterator[tuple[int, str, int, int]]:
    """The headings of a page of Markdown, those in blocks of code left out.

    Yields:
        Level (1 is the page's title), text, and where its line begins and ends.
    """
    fenced = [match.span() for match in re.finditer(r"^```.*?^```$", text, re.M | re.S)]
    for found in re.finditer(r"^(#+) (.*)\n", text, re.M):
        if not any(begin < found.start() < end for begin, end in fenced):
            yield len(found[1]), found[2], found.start(), found.end()


def text_of(section: str) -> str:
    """What stands under a heading of `docs`, up to the next of its level or above; of a title, the whole page.

    Args:
        section: The heading's text. One page of ``docs`` has it, once.
    """
    pages = [path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))]
    found = [(page, each) for page in pages for each in headings(page) if each[1] == section]
    assert len(found) == 1, f"{len(found)} headings {section!r} in docs; expected one"
    page, (level, _, _, begin) = found[0]
    ends = [start for other, _, start, _ in headings(page) if other <= level and start >= begin]
    return page[begin : min(ends, default=len(page))]


def code_of(section: str, language: str = "python") -> str:
    """The code of a section, its blocks one after the other."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text_of(section), re.DOTALL))


def commands_of(section: str) -> list[list[str]]:
    """What a section types after `clipsweep`, without the comments behind it."""
    return [shlex.split(line, comments=True) for line in re.findall(r"^    clipsweep (.*)$", text_of(section), re.M)]
