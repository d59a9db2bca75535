"""The documentation as text: its files, the sections under its headings, and what they show."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PROGRAMS = ("clipsweep", ".venv/bin/clipsweep", "make", "pip", "ray", "export", "cp", "python", "optuna-dashboard")


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


def python_of(page: Path) -> str:
    """The Python of a page, its blocks one after the other."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))


def commands_of(page: Path) -> Iterator[str]:
    """What a reader types out of a page's blocks of code: each command for itself, without comment or redirection."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.M | re.S)
    for line in re.findall(r"^    (.*)$", text, re.M) + [line for block in fenced for line in block.splitlines()]:
        for command in re.split(r"\s{2,}(?=clipsweep )", re.split(r"\s+#\s", line)[0].split(" > ")[0]):
            if command.partition(" ")[0] in PROGRAMS:
                yield command.strip()
