"""Links and names of pages in docs, READMEs and the code lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.documents import ROOT, headings

FOLDERS = ("docs", "trials", "cluster", "analysis", "orchestrator", "tests", "clipsweep")


def files(ending: str) -> list[Path]:
    """The files of the project with an ending, in its root and its folders."""
    below = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob(f"*{ending}"))]
    return sorted(ROOT.glob(f"*{ending}")) + below


def anchors(page: Path) -> set[str]:
    """What may stand behind # in a link to a page: its headings as GitHub and the site spell them."""
    titles = [title for _, title, _, _ in headings(page.read_text(encoding="utf-8"))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", files(".md"), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"https?:", target):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


def test_every_page_of_docs_that_the_code_names_is_there() -> None:
    texts = [path.read_text(encoding="utf-8") for ending in (".py", ".md", ".html") for path in files(ending)]
    named = {name for text in texts for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", text)}
    assert len(named) > 5
    assert {name for name in named if not (ROOT / name).is_file()} == set()
